package oauth

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	refreshes *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "varve_oauth_jwks_refreshes_total", Help: "Reads of the JWKS that checks tokens, by result (success, failure)."}, []string{"result"})}
	m.refreshes.WithLabelValues("success")
	m.refreshes.WithLabelValues("failure")
	return m
}

func (m *metrics) count(err error) {
	result := "success"
	if err != nil {
		result = "failure"
	}
	m.refreshes.WithLabelValues(result).Inc()
}

var (
	keyAge   = prometheus.NewDesc("varve_oauth_jwks_age_seconds", "Time since the JWKS was last read; absent before the first time.", nil, nil)
	keyCount = prometheus.NewDesc("varve_oauth_jwks_keys", "Keys of the JWKS that can verify tokens.", nil, nil)
)

// Describe makes keys a collector of their age and number.
func (k *keys) Describe(to chan<- *prometheus.Desc) {
	to <- keyAge
	to <- keyCount
}

// Collect is called when the metrics are asked for.
func (k *keys) Collect(to chan<- prometheus.Metric) {
	k.mu.Lock()
	set, read := k.mu.set, k.mu.read
	k.mu.Unlock()
	n := 0
	if set != nil {
		n = len(set.keys)
		to <- prometheus.MustNewConstMetric(keyAge, prometheus.GaugeValue, k.now().Sub(read).Seconds())
	}
	to <- prometheus.MustNewConstMetric(keyCount, prometheus.GaugeValue, float64(n))
}
