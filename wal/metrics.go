package wal

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	entries   prometheus.Counter
	appends   prometheus.Counter
	bytes     prometheus.Counter
	sync      prometheus.Histogram
	readBytes *prometheus.CounterVec

	followSync prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, s *Store) *metrics {
	m := &metrics{
		entries: prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_journal_entries_total", Help: "Entries (group commits) written to the journal."}),
		appends: prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_journal_appends_total", Help: "Record batches written to the journal."}),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "varve_journal_written_bytes_total", Help: "Bytes written to the journal, headers and padding included."}),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "varve_journal_write_seconds", Help: "Time to write and sync what had gathered, one entry or more.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16)}),
		followSync: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "varve_journal_follow_sync_seconds", Help: "Time to sync what arrived of journals that others write.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16)}),
		readBytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "varve_journal_read_bytes_total", Help: "Bytes copied from the journal, by where they were."}, []string{"from"}),
	}
	for _, from := range []string{"memory", "readahead", "disk"} {
		m.readBytes.WithLabelValues(from) // shown before the first
	}
	if r == nil {
		return m
	}
	r.MustRegister(m.entries, m.appends, m.bytes, m.sync, m.followSync, m.readBytes,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_journal_untrimmed_bytes", Help: "Journal files that hold records which are not in the tier yet, in bytes."},
			func() float64 { return float64(s.Untrimmed()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_journal_spare_bytes", Help: "Emptied journal files that wait for use, in bytes."},
			func() float64 { return float64(int64(s.spareCount()) * s.cfg.FileBytes) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_journal_pressure", Help: "How far the journal is between its soft (0) and hard (1) watermark."}, s.Pressure),
	)
	return m
}

func (m *metrics) wrote(bytes, appends, entries int, took time.Duration) {
	m.entries.Add(float64(entries))
	m.appends.Add(float64(appends))
	m.bytes.Add(float64(bytes))
	m.sync.Observe(took.Seconds())
}

func (m *metrics) followed(took time.Duration) { m.followSync.Observe(took.Seconds()) }
