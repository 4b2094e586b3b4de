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
			Help: "Partitions whose memory of idempotent producers was lost with an object of the bucket."}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_partition_shed_producers_total",
			Help: "Idempotent producers that a partition forgot before they expired, since it had more than 16,384."}),
	}
	m.lost = prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_partition_lost_records_total",
		Help: "Offsets that were passed over here, since an operator accepted the loss of the journal that had them (varve cluster accept-loss)."})
	if reg != nil {
		reg.MustRegister(m.forgotten, m.shed, m.lost)
	}
	return m
}
