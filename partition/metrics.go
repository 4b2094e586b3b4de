package partition

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what the partitions of an agent count together.
type Metrics struct {
	forgotten prometheus.Counter
	shed      prometheus.Counter
	lost      prometheus.Counter
}

// NewMetrics makes metrics; a nil registerer leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_partition_forgotten_producers_total",
			Help: "Partitions whose producer state was lost with an object of the tier."}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_partition_shed_producers_total",
			Help: "Idempotent producers dropped before they expired, because a partition had more than 16,384."}),
	}
	m.lost = prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_partition_lost_records_total",
		Help: "Offsets skipped because an operator accepted the loss of the journal that held them (varve cluster accept-loss)."})
	if reg != nil {
		reg.MustRegister(m.forgotten, m.shed, m.lost)
	}
	return m
}
