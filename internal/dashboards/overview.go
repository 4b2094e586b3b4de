package dashboards

func overview() Dashboard {
	return Dashboard{
		Name: "overview", Title: "Varve: overview",
		Doc: "Whether the cluster is well, and what it does.",
		Rows: []Row{
			{"Health", []Panel{
				{Title: "Agents live", Kind: Stat, Unit: "short", Queries: []Query{
					{`max(varve_agents_live{job=~"$job"})`, ""},
				}},
				{Title: "Agents expected", Doc: "More than live: an agent is missing.", Kind: Stat, Unit: "short", Queries: []Query{
					{`max(varve_agents_expected{job=~"$job"})`, ""},
				}},
				{Title: "Agents not ready", Kind: Stat, Unit: "short", Queries: []Query{
					{`count(varve_ready{job=~"$job"}) - sum(varve_ready{job=~"$job"})`, ""},
				}},
				{Title: "Partitions without leader", Kind: Stat, Unit: "short", Queries: []Query{
					{`max(varve_partitions_leaderless{job=~"$job"})`, ""},
				}},
				{Title: "Under-replicated", Kind: Stat, Unit: "short", Queries: []Query{
					{`sum(varve_partitions_under_replicated{job=~"$job"})`, ""},
				}},
				{Title: "Ranges unreadable", Kind: Stat, Unit: "short", Queries: []Query{
					{`sum(varve_tier_holes{job=~"$job"})`, ""},
				}},
				{Title: "Version", Kind: Stat, Unit: "short", Queries: []Query{
					{`count by (version) (varve_build_info{job=~"$job"})`, "{{version}}"},
				}},
				{Title: "Partitions served", Kind: Stat, Unit: "short", Queries: []Query{
					{`sum(varve_partitions_led{job=~"$job"})`, ""},
				}},
				{Title: "Groups", Kind: Stat, Unit: "short", Queries: []Query{
					{`sum(varve_group_groups{job=~"$job"})`, ""},
				}},
				{Title: "etcd away", Doc: "Agents that etcd does not answer.", Kind: Stat, Unit: "short", Queries: []Query{
					{`sum(varve_metadata_unavailable{job=~"$job"})`, ""},
				}},
				{Title: "Bucket away", Doc: "Agents that the bucket does not answer.", Kind: Stat, Unit: "short", Queries: []Query{
					{`sum(varve_bucket_unavailable{job=~"$job"})`, ""},
				}},
				{Title: "Client connections", Kind: Stat, Unit: "short", Queries: []Query{
					{`sum(varve_kafka_connections{job=~"$job"})`, ""},
				}},
			}},
			{"Traffic", []Panel{
				{Title: "Bytes", Unit: "Bps", Queries: []Query{
					{`sum (rate(varve_produced_bytes_total{job=~"$job"}[$__rate_interval]))`, "produced"},
					{`sum (rate(varve_fetched_bytes_total{job=~"$job"}[$__rate_interval]))`, "fetched"},
				}},
				{Title: "Records", Unit: "short", Queries: []Query{
					{`sum (rate(varve_produced_records_total{job=~"$job"}[$__rate_interval]))`, "produced"},
					{`sum (rate(varve_topic_records_out_total{job=~"$job"}[$__rate_interval]))`, "fetched"},
				}},
				{Title: "Requests by API", Unit: "reqps", Queries: []Query{
					{`sum by (api) (rate(varve_kafka_requests_total{job=~"$job"}[$__rate_interval]))`, "{{api}}"},
				}},
				{Title: "Produce latency", Doc: "From the arrival of a request until its answer is written.", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.5, sum by (le) (rate(varve_kafka_request_seconds_bucket{job=~"$job", api="Produce"}[$__rate_interval])))`, "p50"},
					{`histogram_quantile(0.99, sum by (le) (rate(varve_kafka_request_seconds_bucket{job=~"$job", api="Produce"}[$__rate_interval])))`, "p99"},
				}},
				{Title: "Fetch latency", Doc: "Waiting for records included.", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.5, sum by (le) (rate(varve_kafka_request_seconds_bucket{job=~"$job", api="Fetch"}[$__rate_interval])))`, "p50"},
					{`histogram_quantile(0.99, sum by (le) (rate(varve_kafka_request_seconds_bucket{job=~"$job", api="Fetch"}[$__rate_interval])))`, "p99"},
				}},
				{Title: "Errors of produce and fetch", Unit: "short", Queries: []Query{
					{`sum by (api, error) (rate(varve_kafka_errors_total{job=~"$job"}[$__rate_interval])) or vector(0)`, "{{api}} {{error}}"},
				}},
			}},
			{"Promises", []Panel{
				{Title: "Time to sync the journal, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le, instance) (rate(varve_journal_write_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "{{instance}}"},
				}},
				{Title: "Not in the bucket yet", Unit: "bytes", Queries: []Query{
					{`sum by (instance) (varve_tier_upload_waiting_bytes{job=~"$job"})`, "{{instance}}"},
				}},
				{Title: "Oldest record not in the bucket", Unit: "s", Queries: []Query{
					{`max by (instance) (varve_tier_upload_oldest_seconds{job=~"$job"})`, "{{instance}}"},
				}},
			}},
			{"Alerts", []Panel{
				{Title: "Firing", Doc: "Alerts of deploy/prometheus/varve-rules.yaml; docs/runbook.md says what to do.", Kind: Table, Unit: "short", Queries: []Query{
					{`ALERTS{alertname=~"Varve.*", alertstate="firing"} or vector(0)`, "{{alertname}} {{instance}}"},
				}},
			}},
		},
	}
}
