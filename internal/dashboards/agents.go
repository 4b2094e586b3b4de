package dashboards

func agents() Dashboard {
	return Dashboard{
		Name: "agents", Title: "Varve: agents",
		Doc:       "What each agent does, and what it takes.",
		Variables: []Variable{{"instance", "instance", "varve_build_info"}},
		Rows: []Row{
			{"State", []Panel{
				{Title: "Ready", Unit: "short", Queries: []Query{
					{`max by (instance) (varve_ready{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Partitions led", Unit: "short", Queries: []Query{
					{`max by (instance) (varve_partitions_led{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Partitions unserved", Unit: "short", Queries: []Query{
					{`max by (instance) (varve_partitions_unserved{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Groups coordinated", Unit: "short", Queries: []Query{
					{`sum by (instance) (varve_group_groups{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Controller", Unit: "short", Queries: []Query{
					{`max by (instance) (varve_controller_active{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Connections", Unit: "short", Queries: []Query{
					{`max by (instance) (varve_kafka_connections{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
			}},
			{"Traffic", []Panel{
				{Title: "Produced", Unit: "Bps", Queries: []Query{
					{`sum by (instance) (rate(varve_produced_bytes_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"},
				}},
				{Title: "Fetched", Unit: "Bps", Queries: []Query{
					{`sum by (instance) (rate(varve_fetched_bytes_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"},
				}},
				{Title: "Requests", Unit: "reqps", Queries: []Query{
					{`sum by (instance) (rate(varve_kafka_requests_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"},
				}},
				{Title: "Slowest requests, p99", Unit: "s", Queries: []Query{
					{`topk(10, histogram_quantile(0.99, sum by (le, instance, api) (rate(varve_kafka_request_seconds_bucket{job=~"$job", instance=~"$instance"}[$__rate_interval]))))`, "{{instance}} {{api}}"},
				}},
				{Title: "Clients told to wait", Doc: "Seconds of throttling a second, because the journal fills up.", Unit: "s", Queries: []Query{
					{`sum by (instance) (rate(varve_produce_throttled_seconds_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"},
				}},
				{Title: "Log lines not written", Unit: "short", Queries: []Query{
					{`sum by (instance) (rate(varve_log_lines_not_logged_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"},
				}},
			}},
			{"Journal and disk", []Panel{
				{Title: "Time to write and sync, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le, instance) (rate(varve_journal_write_seconds_bucket{job=~"$job", instance=~"$instance"}[$__rate_interval])))`, "{{instance}}"},
				}},
				{Title: "Time to sync for others, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le, instance) (rate(varve_journal_follow_sync_seconds_bucket{job=~"$job", instance=~"$instance"}[$__rate_interval])))`, "{{instance}}"},
				}},
				{Title: "Written", Unit: "Bps", Queries: []Query{
					{`sum by (instance) (rate(varve_journal_written_bytes_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"},
				}},
				{Title: "Batches for each sync", Unit: "short", Queries: []Query{
					{`sum by (instance) (rate(varve_journal_appends_total{job=~"$job", instance=~"$instance"}[$__rate_interval])) / (sum by (instance) (rate(varve_journal_entries_total{job=~"$job", instance=~"$instance"}[$__rate_interval])) > 0)`, "{{instance}}"},
				}},
				{Title: "Not in the bucket", Unit: "bytes", Queries: []Query{
					{`max by (instance) (varve_journal_untrimmed_bytes{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Free disk", Unit: "percentunit", Queries: []Query{
					{`min by (instance) (varve_disk_free_bytes{job=~"$job", instance=~"$instance"} / varve_disk_total_bytes{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Journal pressure", Doc: "0: below journal.soft_bytes; 100%: producers are refused.", Unit: "percentunit", Queries: []Query{
					{`max by (instance) (varve_journal_pressure{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Lag of members", Unit: "bytes", Queries: []Query{
					{`max by (instance, broker) (varve_replica_lag_bytes{job=~"$job", instance=~"$instance"})`, "{{instance}} to {{broker}}"},
				}},
				{Title: "Sent to other agents", Unit: "Bps", Queries: []Query{
					{`sum by (instance) (rate(varve_replica_sent_bytes_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"},
				}},
			}},
			{"Memory and CPU", []Panel{
				{Title: "Memory used", Unit: "percentunit", Queries: []Query{
					{`max by (instance) (varve_memory_total_used_bytes{job=~"$job", instance=~"$instance"} / varve_memory_total_limit_bytes{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Memory by pool", Unit: "bytes", Queries: []Query{
					{`sum by (pool) (varve_memory_used_bytes{job=~"$job", instance=~"$instance"})`, "{{pool}}"},
				}},
				{Title: "CPU", Unit: "short", Queries: []Query{
					{`sum by (instance) (rate(process_cpu_seconds_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{instance}}"},
				}},
				{Title: "Goroutines", Unit: "short", Queries: []Query{
					{`max by (instance) (go_goroutines{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Open files", Unit: "short", Queries: []Query{
					{`max by (instance) (process_open_fds{job=~"$job", instance=~"$instance"})`, "{{instance}}"},
				}},
				{Title: "Pauses of the garbage collector", Unit: "s", Queries: []Query{
					{`max by (instance) (go_gc_duration_seconds{job=~"$job", instance=~"$instance", quantile="1"})`, "{{instance}}"},
				}},
			}},
			{"etcd", []Panel{
				{Title: "Requests", Unit: "reqps", Queries: []Query{
					{`sum by (op) (rate(varve_metadata_requests_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))`, "{{op}}"},
				}},
				{Title: "Time of requests, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le, op) (rate(varve_metadata_request_seconds_bucket{job=~"$job", instance=~"$instance"}[$__rate_interval])))`, "{{op}}"},
				}},
				{Title: "Failed requests", Unit: "short", Queries: []Query{
					{`sum by (op, kind) (rate(varve_metadata_errors_total{job=~"$job", instance=~"$instance"}[$__rate_interval])) or vector(0)`, "{{op}} {{kind}}"},
				}},
			}},
		},
	}
}
