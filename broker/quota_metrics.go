package broker

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"varve/auth/quota"
)

// shownQuotas bounds the quotas that have metrics of their own: each has two time series.
const shownQuotas = 200

// quotaMetrics count, for each quota that is set, how often and for how long it held clients
// back.
type quotaMetrics struct {
	waits, seconds *prometheus.CounterVec
	mu             sync.Mutex
	shown          map[shownQuota]bool
}

type shownQuota struct {
	key    quota.Key
	entity quota.Entity
}

func newQuotaMetrics(r prometheus.Registerer, meters *quota.Meters) *quotaMetrics {
	auto := promauto.With(r)
	labels := []string{"quota", "user", "client_id", "ip"}
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "varve_quota_meters", Help: "Clients whose use is measured because a quota holds for them."}, func() float64 { return float64(meters.Len()) })
	return &quotaMetrics{
		waits: auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_quota_throttles_total",
			Help: "Answers that told clients to wait, and connections that were refused, because of a quota, by the entity that has it; the first 200 quotas have series of their own."}, labels),
		seconds: auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_quota_throttled_seconds_total", Help: "Time that quotas told clients to wait, by the entity that has the quota."}, labels),
		shown:   map[shownQuota]bool{},
	}
}

// throttled counts that a client has to wait.
func (m *quotaMetrics) throttled(r quota.Rule, wait time.Duration) {
	labels := []string{r.Key.String(), "other", "other", "other"}
	if m.own(shownQuota{r.Key, r.Entity}) {
		for i, of := range quota.Types() {
			labels[i+1] = shownPart(*r.Entity.Part(of))
		}
	}
	m.waits.WithLabelValues(labels...).Inc()
	m.seconds.WithLabelValues(labels...).Add(wait.Seconds())
}

// own reports whether a quota has series of its own.
func (m *quotaMetrics) own(q shownQuota) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.shown[q] && len(m.shown) < shownQuotas {
		m.shown[q] = true
	}
	return m.shown[q]
}

// shownPart returns a name as a label: a label that isn't UTF-8 is a panic.
func shownPart(p quota.Part) string {
	if p.There && p.Name == "" {
		return "<default>"
	}
	return strings.ToValidUTF8(short(p.Name), "?")
}
