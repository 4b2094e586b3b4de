package partition

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what the partitions of an agent count together.
type Metrics struct {
	forgotten prometheus.Counter
}

// NewMetrics makes metrics; a nil registerer leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{forgotten: prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_partition_forgotten_producers_total",
		Help: "Partitions whose memory of idempotent producers was lost with an object of the bucket."})}
	if reg != nil {
		reg.MustRegister(m.forgotten)
	}
	return m
}
