package dashboards

func groups() Dashboard {
	return Dashboard{
		Name: "groups", Title: "Varve: groups and lag",
		Doc:       "How far consumer groups are behind, and what coordinators do.",
		Variables: []Variable{{"group", "consumergroup", "kafka_consumergroup_members"}, {"topic", "topic", "kafka_consumergroup_current_offset"}},
		Rows: []Row{
			{"Lag", []Panel{
				{Title: "Lag", Doc: "Records between what was committed and the high watermark.", Unit: "short", Queries: []Query{
					{`max by (consumergroup, topic) (kafka_consumergroup_lag_sum{job=~"$job", consumergroup=~"$group", topic=~"$topic"})`, "{{consumergroup}} {{topic}}"},
				}},
				{Title: "Time to catch up at this rate", Doc: "If nothing more were written. Missing for groups that commit nothing.", Unit: "s", Queries: []Query{
					{`max by (consumergroup, topic) (kafka_consumergroup_lag_sum{job=~"$job", consumergroup=~"$group", topic=~"$topic"}) / (max by (consumergroup, topic) (deriv(kafka_consumergroup_current_offset_sum{job=~"$job", consumergroup=~"$group", topic=~"$topic"}[5m])) > 0)`, "{{consumergroup}} {{topic}}"},
				}},
				{Title: "Partitions with the most lag", Unit: "short", Queries: []Query{
					{`topk(10, max by (consumergroup, topic, partition) (kafka_consumergroup_lag{job=~"$job", consumergroup=~"$group", topic=~"$topic"}))`, "{{consumergroup}} {{topic}}/{{partition}}"},
				}},
				{Title: "Consumed", Doc: "Offsets committed a second.", Unit: "short", Queries: []Query{
					{`max by (consumergroup, topic) (deriv(kafka_consumergroup_current_offset_sum{job=~"$job", consumergroup=~"$group", topic=~"$topic"}[5m]))`, "{{consumergroup}} {{topic}}"},
				}},
				{Title: "Written", Doc: "Records a second.", Unit: "short", Queries: []Query{
					{`sum by (topic) (rate(kafka_topic_partition_current_offset{job=~"$job", topic=~"$topic"}[5m]))`, "{{topic}}"},
				}},
				{Title: "Without series", Doc: "Raise metrics.max_group_topics and metrics.max_group_partitions.", Unit: "short", Queries: []Query{
					{`sum(varve_group_lag_dropped{job=~"$job"})`, "groups and topics"},
					{`sum(varve_group_partitions_dropped{job=~"$job"})`, "partitions"},
					{`sum(varve_group_members_dropped{job=~"$job"})`, "groups"},
				}},
			}},
			{"Groups", []Panel{
				{Title: "Members", Unit: "short", Queries: []Query{
					{`max by (consumergroup) (kafka_consumergroup_members{job=~"$job", consumergroup=~"$group"})`, "{{consumergroup}}"},
				}},
				{Title: "Groups by state", Unit: "short", Queries: []Query{
					{`sum by (state) (varve_group_groups{job=~"$job"})`, "{{state}}"},
				}},
				{Title: "Rebalances", Unit: "short", Queries: []Query{
					{`sum (rate(varve_group_rebalances_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Members whose session ended", Unit: "short", Queries: []Query{
					{`sum (rate(varve_group_expired_members_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Offsets committed", Unit: "short", Queries: []Query{
					{`sum (rate(varve_group_committed_offsets_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Time of a commit", Unit: "s", Queries: []Query{
					{`histogram_quantile(0.5, sum by (le) (rate(varve_group_commit_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "p50"},
					{`histogram_quantile(0.99, sum by (le) (rate(varve_group_commit_seconds_bucket{job=~"$job"}[$__rate_interval])))`, "p99"},
				}},
				{Title: "Offsets expired and deleted", Unit: "short", Queries: []Query{
					{`sum (rate(varve_group_expired_offsets_total{job=~"$job"}[$__rate_interval]))`, "expired"},
					{`sum (rate(varve_group_deleted_offsets_total{job=~"$job"}[$__rate_interval]))`, "deleted"},
				}},
				{Title: "Failed writes of groups", Unit: "short", Queries: []Query{
					{`sum (rate(varve_group_store_failures_total{job=~"$job"}[$__rate_interval]))`, ""},
				}},
				{Title: "Groups in memory", Unit: "short", Queries: []Query{
					{`sum by (instance) (varve_group_loaded{job=~"$job"})`, "{{instance}}"},
				}},
			}},
		},
	}
}
