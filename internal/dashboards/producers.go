package dashboards

func producers() Dashboard {
	return Dashboard{
		Name: "producers", Title: "Varve: producers and transactions",
		Doc: "Idempotent producers. Varve has no transactions yet: producers with a transactional id are refused.",
		Rows: []Row{
			{"Producers", []Panel{
				{Title: "Producer ids asked for", Doc: "Each new idempotent producer asks once.", Unit: "short", Queries: []Query{
					{`sum (rate(varve_kafka_requests_total{job=~"$job", api="InitProducerID"}[$__rate_interval]))`, ""},
				}},
				{Title: "Time to get one, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le) (rate(varve_kafka_request_seconds_bucket{job=~"$job", api="InitProducerID"}[$__rate_interval])))`, ""},
				}},
				{Title: "Errors of produce", Doc: "OUT_OF_ORDER_SEQUENCE_NUMBER and UNKNOWN_PRODUCER_ID are of idempotent producers.", Unit: "short", Queries: []Query{
					{`sum by (error) (rate(varve_kafka_errors_total{job=~"$job", api="Produce"}[$__rate_interval])) or vector(0)`, "{{error}}"},
				}},
				{Title: "Producers dropped before they expired", Doc: "A partition had more than 16,384.", Unit: "short", Queries: []Query{
					{`sum (rate(varve_partition_shed_producers_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Partitions whose producers were lost", Unit: "short", Queries: []Query{
					{`sum(varve_partition_forgotten_producers_total{job=~"$job"})`, ""},
				}},
				{Title: "Produce latency, p99", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.99, sum by (le, instance) (rate(varve_kafka_request_seconds_bucket{job=~"$job", api="Produce"}[$__rate_interval])))`, "{{instance}}"},
				}},
			}},
		},
	}
}
