package partition

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are what the partitions of an agent count together.
type Metrics struct {
	forgotten prometheus.Counter
	shed      prometheus.Counter
	lost      prometheus.Counter
}

// NewMetrics makes metrics; a nil registerer leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	auto := promauto.With(reg)
	m := &Metrics{
		forgotten: auto.NewCounter(prometheus.CounterOpts{Name: "varve_partition_forgotten_producers_total",
			Help: "Partitions whose producer state was lost with an object of the tier."}),
		shed: auto.NewCounter(prometheus.CounterOpts{Name: "varve_partition_shed_producers_total",
			Help: "Idempotent producers dropped before they expired, because a partition had more than 16,384."}),
	}
	m.lost = auto.NewCounter(prometheus.CounterOpts{Name: "varve_partition_lost_records_total",
		Help: "Offsets skipped because an operator accepted the loss of the journal that held them (varve cluster accept-loss)."})
	return m
}
