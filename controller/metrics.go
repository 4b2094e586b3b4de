package controller

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	deaths     prometheus.Counter
	given      prometheus.Counter
	balanced   prometheus.Counter
	recoveries prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, c *Controller) *metrics {
	auto := promauto.With(reg)
	m := &metrics{
		deaths:     auto.NewCounter(prometheus.CounterOpts{Name: "varve_controller_deaths_total", Help: "Agents that were declared dead by this controller."}),
		given:      auto.NewCounter(prometheus.CounterOpts{Name: "varve_controller_assignments_total", Help: "Partitions given to an agent by this controller."}),
		balanced:   auto.NewCounter(prometheus.CounterOpts{Name: "varve_controller_balance_moves_total", Help: "Moves of partitions that this controller asked for to balance agents or to drain one."}),
		recoveries: auto.NewHistogram(prometheus.HistogramOpts{Name: "varve_controller_recovery_seconds", Help: "Time from the beginning of a journal's recovery until it was sealed.", Buckets: prometheus.ExponentialBuckets(0.002, 2, 14)}),
	}
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_controller_active", Help: "1 if this agent is the cluster's controller."}, func() float64 {
		if c.Active() {
			return 1
		}
		return 0
	})
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_controller_waiting_journals", Help: "Journals of dead agents that can't be recovered yet."},
		func() float64 { return float64(len(c.Waiting())) })
	return m
}
