package dashboards

func topics() Dashboard {
	return Dashboard{
		Name: "topics", Title: "Varve: topics",
		Doc:       "What is written to topics, read from them and kept of them.",
		Variables: []Variable{{"topic", "topic", "kafka_topic_partitions"}},
		Rows: []Row{
			{"Traffic", []Panel{
				{Title: "Written", Unit: "Bps", Queries: []Query{
					{`sum by (topic) (rate(varve_topic_bytes_in_total{job=~"$job", topic=~"$topic"}[$__rate_interval]))`, "{{topic}}"},
				}},
				{Title: "Read", Unit: "Bps", Queries: []Query{
					{`sum by (topic) (rate(varve_topic_bytes_out_total{job=~"$job", topic=~"$topic"}[$__rate_interval]))`, "{{topic}}"},
				}},
				{Title: "Records written", Unit: "short", Queries: []Query{
					{`sum by (topic) (rate(varve_topic_records_in_total{job=~"$job", topic=~"$topic"}[$__rate_interval]))`, "{{topic}}"},
				}},
				{Title: "Records read", Unit: "short", Queries: []Query{
					{`sum by (topic) (rate(varve_topic_records_out_total{job=~"$job", topic=~"$topic"}[$__rate_interval]))`, "{{topic}}"},
				}},
				{Title: "Reads for each write", Unit: "short", Queries: []Query{
					{`sum by (topic) (rate(varve_topic_bytes_out_total{job=~"$job", topic=~"$topic"}[$__rate_interval])) / (sum by (topic) (rate(varve_topic_bytes_in_total{job=~"$job", topic=~"$topic"}[$__rate_interval])) > 0)`, "{{topic}}"},
				}},
				{Title: "Bytes a record", Unit: "bytes", Queries: []Query{
					{`sum by (topic) (rate(varve_topic_bytes_in_total{job=~"$job", topic=~"$topic"}[$__rate_interval])) / (sum by (topic) (rate(varve_topic_records_in_total{job=~"$job", topic=~"$topic"}[$__rate_interval])) > 0)`, "{{topic}}"},
				}},
			}},
			{"Size", []Panel{
				{Title: "On disks of leaders", Unit: "bytes", Queries: []Query{
					{`sum by (topic) (varve_topic_log_bytes{job=~"$job", topic=~"$topic", where="local"})`, "{{topic}}"},
				}},
				{Title: "In the bucket", Unit: "bytes", Queries: []Query{
					{`sum by (topic) (varve_topic_log_bytes{job=~"$job", topic=~"$topic", where="tier"})`, "{{topic}}"},
				}},
				{Title: "Partitions", Unit: "short", Queries: []Query{
					{`sum by (topic) (kafka_topic_partitions{job=~"$job", topic=~"$topic"})`, "{{topic}}"},
				}},
				{Title: "Offsets kept", Doc: "High watermark less log start offset, summed over partitions.", Unit: "short", Queries: []Query{
					{`sum by (topic) (kafka_topic_partition_current_offset{job=~"$job", topic=~"$topic"} - kafka_topic_partition_oldest_offset{job=~"$job", topic=~"$topic"})`, "{{topic}}"},
				}},
				{Title: "Under-replicated partitions", Unit: "short", Queries: []Query{
					{`sum by (topic) (kafka_topic_partition_under_replicated_partition{job=~"$job", topic=~"$topic"})`, "{{topic}}"},
				}},
				{Title: "Busiest partitions", Doc: "Records a second.", Unit: "short", Queries: []Query{
					{`topk(10, sum by (topic, partition) (rate(kafka_topic_partition_current_offset{job=~"$job", topic=~"$topic"}[$__rate_interval])))`, "{{topic}}/{{partition}}"},
				}},
			}},
			{"Partitions", []Panel{
				{Title: "Leaders", Kind: Table, Unit: "short", Queries: []Query{
					{`count by (topic, instance) (kafka_topic_partition_leader{job=~"$job", topic=~"$topic"})`, "{{topic}} {{instance}}"},
				}},
			}},
		},
	}
}
