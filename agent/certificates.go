package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"varve/auth/principal"
	"varve/broker"
	"varve/internal/backoff"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// certificates are those of the listeners, which are read again when their files change.
type certificates struct {
	log    *slog.Logger
	now    func() time.Time
	failed *prometheus.CounterVec
	unused *prometheus.GaugeVec
	all    []*certificate
}

// certificate is a listener's.
type certificate struct {
	listener string
	host     string // at which clients reach it, if that is known
	server   *tlsfile.Server
	warned   time.Time // that it expires
}

const (
	lookAtFiles  = 5 * time.Second     // how often
	expiresSoon  = 30 * 24 * time.Hour // from when on that is warned of
	warnOfExpiry = 24 * time.Hour      // how often
)

// openCertificates reads the files of the listeners. more are those of other servers.
func openCertificates(fs vfs.FS, listeners []Listener, more []*certificate, deps *Deps) (*certificates, error) {
	cs := &certificates{log: deps.Log.With("part", "tls"), now: deps.Now}
	var errs []error
	for _, l := range listeners {
		if !l.speaksTLS() {
			continue
		}
		s, err := tlsfile.OpenServer(fs, l.files())
		if err != nil {
			errs = append(errs, fmt.Errorf("listener %s: tls: %w", l.Name, err))
			continue
		}
		cs.all = append(cs.all, &certificate{listener: l.Name, host: hostOf(l.Advertised), server: s})
	}
	cs.all = append(cs.all, more...)
	cs.failed = promauto.With(deps.Registry).NewCounterVec(prometheus.CounterOpts{Name: "varve_tls_reload_failures_total", Help: "Changed certificate files of a listener that could not be used; the ones from before stay in use."}, []string{"listener"})
	cs.unused = promauto.With(deps.Registry).NewGaugeVec(prometheus.GaugeOpts{Name: "varve_tls_reload_failed", Help: "Whether the files of a listener's certificate were changed and can't be used (0 or 1); then those from before stay in use."}, []string{"listener"})
	for _, c := range cs.all {
		cs.failed.WithLabelValues(c.listener)
		cs.unused.WithLabelValues(c.listener)
		cs.fits(c)
	}
	return cs, errors.Join(append(errs, deps.Registry.Register(cs))...)
}

var expiry = prometheus.NewDesc("varve_tls_certificate_expiry_seconds", "Time until the certificate of a listener expires; negative once it has.", []string{"listener"}, nil)

// Describe makes certificates a collector of when they expire.
func (cs *certificates) Describe(to chan<- *prometheus.Desc) { to <- expiry }

// Collect is called when the metrics are asked for.
func (cs *certificates) Collect(to chan<- prometheus.Metric) {
	for _, c := range cs.all {
		to <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, c.server.Expires().Sub(cs.now()).Seconds(), c.listener)
	}
}

// of returns the certificate of a listener, or nil.
func (cs *certificates) of(listener string) *tlsfile.Server {
	for _, c := range cs.all {
		if c.listener == listener {
			return c.server
		}
	}
	return nil
}

// watch looks at the files until ctx ends.
func (cs *certificates) watch(ctx context.Context) {
	for len(cs.all) > 0 {
		for _, c := range cs.all {
			cs.look(c)
		}
		if backoff.Sleep(ctx, lookAtFiles) != nil {
			return
		}
	}
}

// fits warns of a certificate that clients will refuse.
func (cs *certificates) fits(c *certificate) {
	if why := c.server.Misfit(c.host); why != "" {
		cs.log.Warn("clients will refuse the listener's certificate: "+why, "listener", c.listener)
	}
}

func (cs *certificates) look(c *certificate) {
	changed, err := c.server.Refresh()
	now, until := cs.now(), c.server.Expires()
	left := until.Sub(now)
	switch {
	case err != nil:
		cs.failed.WithLabelValues(c.listener).Inc()
		cs.unused.WithLabelValues(c.listener).Set(1)
		cs.log.Error("changed certificate not used: the one from before stays in use", "listener", c.listener, "err", err, "expires", until)
	case changed:
		c.warned = time.Time{}
		cs.unused.WithLabelValues(c.listener).Set(0)
		cs.log.Info("certificate replaced", "listener", c.listener, "expires", until)
		cs.fits(c)
	}
	if left < expiresSoon && now.Sub(c.warned) >= warnOfExpiry {
		c.warned = now
		if left <= 0 {
			cs.log.Error("certificate has expired", "listener", c.listener, "expired", until)
		} else {
			cs.log.Warn("certificate expires soon", "listener", c.listener, "expires", until, "left", left.Round(time.Minute))
		}
	}
}

// asked returns what the clients of a listener are asked for.
func (l *Listener) asked(certs *certificates) (*broker.Listener, error) {
	rules, err := principal.Parse(l.Rules)
	if err != nil {
		return nil, err
	}
	asks := &broker.Listener{Name: l.Name, Rules: rules, Mechanisms: l.mechanisms(), MaxReauth: l.SASL.MaxReauth, Most: l.Most}
	if s := certs.of(l.Name); s != nil {
		asks.TLS = s.Config()
	}
	return asks, nil
}
