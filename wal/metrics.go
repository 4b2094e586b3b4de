package wal

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	entries   prometheus.Counter
	appends   prometheus.Counter
	bytes     prometheus.Counter
	sync      prometheus.Histogram
	readBytes *prometheus.CounterVec

	followSync prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, b *budget, sp *spares) *metrics {
	auto := promauto.With(r)
	m := &metrics{
		entries: auto.NewCounter(prometheus.CounterOpts{Name: "varve_journal_entries_total", Help: "Entries (group commits) written to the journal."}),
		appends: auto.NewCounter(prometheus.CounterOpts{Name: "varve_journal_appends_total", Help: "Record batches written to the journal."}),
		bytes:   auto.NewCounter(prometheus.CounterOpts{Name: "varve_journal_written_bytes_total", Help: "Bytes written to the journal, headers and padding included."}),
		sync: auto.NewHistogram(prometheus.HistogramOpts{Name: "varve_journal_write_seconds", Help: "Time to write and sync one or more entries (a group commit).",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16)}),
		followSync: auto.NewHistogram(prometheus.HistogramOpts{Name: "varve_journal_follow_sync_seconds", Help: "Time to sync entries received from other agents' journals.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16)}),
		readBytes: auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_journal_read_bytes_total", Help: "Bytes read from the journal, by source."}, []string{"from"}),
	}
	for _, from := range []string{"memory", "readahead", "disk"} {
		m.readBytes.WithLabelValues(from) // shown before the first
	}
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_journal_untrimmed_bytes", Help: "Size of journal files with records that are not in the tier yet."},
		func() float64 { return float64(b.untrimmed.Load()) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_journal_spare_bytes", Help: "Size of empty journal files kept for reuse."},
		func() float64 { return float64(int64(sp.count()) * sp.cfg.FileBytes) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_journal_pressure", Help: "Position of the data waiting for upload between journal.soft_bytes (0) and journal.hard_bytes (1)."}, b.pressure)
	return m
}

func (m *metrics) wrote(bytes, appends, entries int, took time.Duration) {
	m.entries.Add(float64(entries))
	m.appends.Add(float64(appends))
	m.bytes.Add(float64(bytes))
	m.sync.Observe(took.Seconds())
}

func (m *metrics) followed(took time.Duration) { m.followSync.Observe(took.Seconds()) }
