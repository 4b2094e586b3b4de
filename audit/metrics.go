package audit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	written prometheus.Counter
	dropped prometheus.Counter
}

// newMetrics makes metrics; a nil registerer leaves them unregistered.
func newMetrics(reg prometheus.Registerer) *metrics {
	lines := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "varve_audit_topic_lines_total",
		Help: "Audit lines for security.audit_topic, by outcome: written to the topic, or dropped, because too many waited or the topic doesn't accept the line."}, []string{"outcome"})
	return &metrics{written: lines.WithLabelValues("written"), dropped: lines.WithLabelValues("dropped")}
}
