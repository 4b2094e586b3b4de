package controller

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	deaths     prometheus.Counter
	given      prometheus.Counter
	balanced   prometheus.Counter
	recoveries prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, c *Controller) *metrics {
	m := &metrics{
		deaths:     prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_controller_deaths_total", Help: "Agents that were declared dead by this controller."}),
		given:      prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_controller_assignments_total", Help: "Partitions given to an agent by this controller."}),
		balanced:   prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_controller_balance_moves_total", Help: "Moves of partitions that this controller asked for to balance agents or to drain one."}),
		recoveries: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "varve_controller_recovery_seconds", Help: "Time from the beginning of a journal's recovery until it was sealed.", Buckets: prometheus.ExponentialBuckets(0.002, 2, 14)}),
	}
	if reg != nil {
		active := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_controller_active", Help: "1 if this agent is the cluster's controller."}, func() float64 {
			if c.Active() {
				return 1
			}
			return 0
		})
		waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_controller_waiting_journals", Help: "Journals of dead agents that can't be recovered yet."},
			func() float64 { return float64(len(c.Waiting())) })
		reg.MustRegister(active, waiting, m.deaths, m.given, m.balanced, m.recoveries)
	}
	return m
}
