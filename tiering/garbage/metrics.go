package garbage

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	looked  *prometheus.CounterVec
	deleted prometheus.Counter
	freed   prometheus.Counter
	cycles  prometheus.Counter
	errors  prometheus.Counter
	passed  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, c *Collector) *metrics {
	auto := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: "varve_tier_garbage_" + name, Help: help})
	}
	m := &metrics{
		looked:  auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_tier_garbage_judged_total", Help: "Objects examined by garbage collection, by verdict."}, []string{"verdict"}),
		deleted: counter("deleted_objects_total", "Objects that were deleted."),
		freed:   counter("deleted_bytes_total", "Bytes of objects that were deleted."),
		cycles:  counter("cycles_total", "Complete passes over the bucket."),
		errors:  counter("errors_total", "Passes ended by an error."),
		passed:  counter("unjudged_objects_total", "Objects skipped by garbage collection, because their partition's state could not be read."),
	}
	for _, name := range verdictNames {
		m.looked.WithLabelValues(name)
	}
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_tier_damaged_objects", Help: "Objects that the garbage collection found cut, swapped or unreadable when it looked last; the log names each once."},
		func() float64 { return float64(c.damaged.count()) })
	return m
}
