package dashboards

func tier() Dashboard {
	return Dashboard{
		Name: "tier", Title: "Varve: tier and cost",
		Doc: "What goes to and comes from the bucket, and what that costs.",
		Rows: []Row{
			{"Requests, which are paid for", []Panel{
				{Title: "Requests", Unit: "reqps", Queries: []Query{
					{`sum by (op) (rate(varve_s3store_requests_total{job=~"$job"}[$__rate_interval]))`, "{{op}}"},
				}},
				{Title: "Requests in 30 days at this rate", Doc: "Multiply them by the prices of your provider: writing and listing requests are the dear ones.", Unit: "short", Queries: []Query{
					{`sum by (op) (rate(varve_s3store_requests_total{job=~"$job"}[$__rate_interval])) * 30 * 86400`, "{{op}}"},
				}},
				{Title: "Failed requests", Unit: "short", Queries: []Query{
					{`sum by (op, kind) (rate(varve_s3store_errors_total{job=~"$job"}[$__rate_interval])) or vector(0)`, "{{op}} {{kind}}"},
				}},
				{Title: "Bytes", Unit: "Bps", Queries: []Query{
					{`sum by (op) (rate(varve_s3store_bytes_total{job=~"$job"}[$__rate_interval]))`, "{{op}}"},
				}},
				{Title: "Time of requests, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le, op) (rate(varve_s3store_request_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "{{op}}"},
				}},
				{Title: "Kept in the bucket", Doc: "Of topics that exist. Objects that wait for garbage collection come on top.", Unit: "bytes", Queries: []Query{
					{`sum(varve_topic_log_bytes{job=~"$job", where="tier"})`, "record batches"},
				}},
			}},
			{"Upload", []Panel{
				{Title: "Record batches and objects", Unit: "Bps", Queries: []Query{
					{`sum (rate(varve_tier_upload_record_bytes_total{job=~"$job"}[$__rate_interval]))`, "record batches"},
					{`sum (rate(varve_tier_upload_object_bytes_total{job=~"$job"}[$__rate_interval]))`, "objects"},
				}},
				{Title: "Objects", Unit: "short", Queries: []Query{
					{`sum by (kind) (rate(varve_tier_upload_objects_total{job=~"$job"}[$__rate_interval]))`, "{{kind}}"},
				}},
				{Title: "Bytes of an object", Unit: "bytes", Queries: []Query{
					{`sum (rate(varve_tier_upload_object_bytes_total{job=~"$job"}[$__rate_interval])) / (sum (rate(varve_tier_upload_objects_total{job=~"$job"}[$__rate_interval])) > 0)`, ""},
				}},
				{Title: "Waiting", Unit: "bytes", Queries: []Query{
					{`sum by (instance) (varve_tier_upload_waiting_bytes{job=~"$job"})`, "{{instance}}"},
				}},
				{Title: "Oldest waiting record", Unit: "s", Queries: []Query{
					{`max by (instance) (varve_tier_upload_oldest_seconds{job=~"$job"})`, "{{instance}}"},
				}},
				{Title: "Time of an upload, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le) (rate(varve_tier_upload_put_seconds_bucket{job=~"$job"}[$__rate_interval])))`, ""},
				}},
				{Title: "Failures", Unit: "short", Queries: []Query{
					{`sum by (step) (rate(varve_tier_upload_errors_total{job=~"$job"}[$__rate_interval])) or vector(0)`, "{{step}}"},
				}},
				{Title: "Partitions stuck", Unit: "short", Queries: []Query{
					{`sum by (instance) (varve_tier_upload_stuck_partitions{job=~"$job"})`, "{{instance}}"},
				}},
				{Title: "Bucket away", Unit: "short", Queries: []Query{
					{`max by (instance) (varve_bucket_unavailable{job=~"$job"})`, "{{instance}}"},
				}},
			}},
			{"Reading", []Panel{
				{Title: "Served from the tier", Doc: "More from the bucket than to clients: readahead or small reads; less: the cache.", Unit: "Bps", Queries: []Query{
					{`sum (rate(varve_tier_read_served_bytes_total{job=~"$job"}[$__rate_interval]))`, "to clients"},
					{`sum (rate(varve_tier_read_fetched_bytes_total{job=~"$job"}[$__rate_interval]))`, "from the bucket"},
				}},
				{Title: "Share of the tier in what is fetched", Unit: "percentunit", Queries: []Query{
					{`sum (rate(varve_fetched_bytes_total{job=~"$job", from="tier"}[$__rate_interval])) / (sum (rate(varve_fetched_bytes_total{job=~"$job"}[$__rate_interval])) > 0)`, ""},
				}},
				{Title: "Cache hits", Unit: "percentunit", Queries: []Query{
					{`sum by (kind) (rate(varve_tier_read_cache_total{job=~"$job", hit="yes"}[$__rate_interval])) / sum by (kind) (rate(varve_tier_read_cache_total{job=~"$job"}[$__rate_interval]))`, "{{kind}}"},
				}},
				{Title: "GET requests", Unit: "reqps", Queries: []Query{
					{`sum (rate(varve_tier_read_requests_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Time of a GET, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le) (rate(varve_tier_read_request_seconds_bucket{job=~"$job"}[$__rate_interval])))`, ""},
				}},
				{Title: "Hedged requests", Unit: "short", Queries: []Query{
					{`sum by (won) (rate(varve_tier_read_hedges_total{job=~"$job"}[$__rate_interval])) or vector(0)`, "won: {{won}}"},
				}},
			}},
			{"Retention and garbage", []Panel{
				{Title: "Log starts moved", Unit: "short", Queries: []Query{
					{`sum (rate(varve_tier_retention_cuts_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Objects deleted", Unit: "short", Queries: []Query{
					{`sum (rate(varve_tier_garbage_deleted_objects_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Bytes deleted", Unit: "Bps", Queries: []Query{
					{`sum (rate(varve_tier_garbage_deleted_bytes_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Ranges that can't be read", Unit: "short", Queries: []Query{
					{`sum by (instance) (varve_tier_holes{job=~"$job"})`, "{{instance}}"},
				}},
				{Title: "Damaged objects", Unit: "short", Queries: []Query{
					{`max by (instance) (varve_tier_damaged_objects{job=~"$job"})`, "{{instance}}"},
				}},
				{Title: "Passes of garbage collection", Unit: "short", Queries: []Query{
					{`sum(varve_tier_garbage_cycles_total{job=~"$job"})`, ""},
				}},
			}},
		},
	}
}
