package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/principal"
	"varve/auth/sasl"
	"varve/cluster"
	"varve/internal/backoff"
	"varve/kafka"
)

// authentication is what the connections of a broker share to find out who their clients are.
type authentication struct {
	audit     *slog.Logger
	metrics   *authMetrics
	penalties penalties
	failures  *quiet // by network
	successes *quiet // by principal
}

func newAuthentication(deps *Deps, m *metrics) *authentication {
	return &authentication{audit: deps.Audit, metrics: newAuthMetrics(deps.Registry), failures: m.quiet("authentication failed", quietEach), successes: m.quiet("authenticated", quietEach)}
}

// BearerCheck returns whose a token is and when it expires, as sasl.Options says.
type BearerCheck func(ctx context.Context, token string) (user string, expires time.Time, err error)

// KerberosCheck takes a client's token of GSSAPI, as sasl.Options says.
type KerberosCheck func(token []byte) (established sasl.SecurityContext, client string, err error)

// newSASL makes what passwords are checked with. Few are hashed at a time, so that logins leave
// the processors to others.
func newSASL(deps *Deps) *sasl.Server {
	return sasl.NewServer(sasl.Options{Lookup: credentials(cluster.NewUsers(deps.View)), Token: tokenCredentials(cluster.NewTokens(deps.View), deps.Tokens), Secret: deps.Secret, Random: deps.Random.Split(), Hashes: max(1, runtime.GOMAXPROCS(0)/2), Bearer: deps.Bearer, Accept: deps.Kerberos})
}

type authMetrics struct {
	results *prometheus.CounterVec
	waiting prometheus.Gauge
	late    prometheus.Counter
	expired prometheus.Counter
}

func newAuthMetrics(r prometheus.Registerer) *authMetrics {
	auto := promauto.With(r)
	return &authMetrics{
		results: auto.NewCounterVec(prometheus.CounterOpts{Name: "varve_kafka_authentications_total", Help: "Authentications of clients, by mechanism (TLS for certificates and handshakes) and result (success, failure)."}, []string{"mechanism", "result"}),
		waiting: auto.NewGauge(prometheus.GaugeOpts{Name: "varve_kafka_unauthenticated_connections", Help: "Open client connections that have to authenticate themselves and have not yet."}),
		late:    auto.NewCounter(prometheus.CounterOpts{Name: "varve_kafka_unauthenticated_connections_closed_total", Help: "Connections closed because they did not authenticate themselves in time, or made room for others before they did."}),
		expired: auto.NewCounter(prometheus.CounterOpts{Name: "varve_kafka_expired_sessions_total", Help: "Connections closed because their clients did not authenticate again within sasl.max_reauth, or before their tokens expired."}),
	}
}

// mechanismTLS is the mechanism of certificates in logs and metrics.
const mechanismTLS = "TLS"

// welcome notes who the client is. Requests that are still worked on keep their caller.
func (c *conn) welcome(mechanism, who string) {
	next := *c.caller
	next.principal, next.proven = who, c.login != nil || who != anonymous
	if c.login != nil {
		next.token = c.login.byToken
	}
	c.caller = &next
	c.b.conns.authenticated(c)
	c.b.auth.succeeded(mechanism, c.caller)
}

// succeeded counts and logs that a caller has proved who it is.
func (a *authentication) succeeded(mechanism string, c *caller) {
	a.metrics.results.WithLabelValues(mechanism, "success").Inc()
	if unsaid, ok := a.successes.say(c.principal, mechanism+" "+c.host+" "+c.token, time.Now()); ok {
		a.audit.Info("authenticated", "mechanism", mechanism, "listener", c.listener, c.attr(), "not_logged", unsaid)
	}
}

// failed counts and logs that a caller has not proved who it is. claimed is who it says it is.
func (a *authentication) failed(mechanism, claimed string, c *caller, err error) {
	a.metrics.results.WithLabelValues(mechanism, "failure").Inc()
	if unsaid, ok := a.failures.say(network(c.host), c.listener+" "+mechanism+" "+short(claimed)+" "+kindOf(err), time.Now()); ok {
		a.audit.Warn("authentication failed", "mechanism", mechanism, "user", short(claimed), "listener", c.listener, c.attr(), "err", short(err.Error()), "not_logged", unsaid)
	}
}

// kindOf returns an error's text without its numbers: it is the same for failures that differ by
// times and ports only.
func kindOf(err error) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, short(err.Error()))
}

// atone waits before a failure is answered that began at a moment.
func (a *authentication) atone(ctx context.Context, host string, began time.Time) error {
	now := time.Now()
	return backoff.Sleep(ctx, began.Add(a.penalties.next(host, now)).Sub(now))
}

// short bounds what a client may have log lines say.
func short(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// refuseLogin answers a client that isn't let in, later the more often its address fails, and
// ends the connection. The time is counted from the request's arrival: it doesn't tell what was
// wrong.
func (c *conn) refuseLogin(ctx context.Context, r *request, resp kmsg.Response, mechanism, claimed string, err error) error {
	if !slices.Contains(sasl.Mechanisms(), mechanism) {
		mechanism = "unknown"
	}
	if !c.login.told {
		c.b.auth.failed(mechanism, claimed, c.caller, err)
		if err := c.b.auth.atone(ctx, c.caller.host, r.arrived); err != nil {
			return err
		}
	}
	if err := c.send(r, resp); err != nil {
		return err
	}
	return errLogin
}

// tell notes a failure of the exchange that is under way and waits, before the client is told. It
// does nothing if the client has been told already.
func (c *conn) tell(ctx context.Context, arrived time.Time, failure error) error {
	if c.login.told {
		return nil
	}
	c.login.told = true
	c.b.auth.failed(c.login.mechanism, c.login.exchange.Claimed(), c.caller, failure)
	return c.b.auth.atone(ctx, c.caller.host, arrived)
}

// secure shakes hands, if the listener speaks TLS, and takes the client's name from its
// certificate.
func (c *conn) secure(ctx context.Context) error {
	t, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	err := t.HandshakeContext(ctx)
	if under, ok := t.NetConn().(*sealed); ok && err == nil {
		under.more()
	}
	if err == nil && c.login == nil {
		err = c.certified(t.ConnectionState())
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	var other tls.RecordHeaderError
	switch {
	case errors.As(err, &other):
		return fmt.Errorf("%w%s", errNotTLS, foreign(other.RecordHeader))
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return err
	}
	if distrusts(err) {
		err = fmt.Errorf("the client doesn't trust this listener's certificate: %w", err)
	}
	c.b.auth.failed(mechanismTLS, "", c.caller, err)
	return errLogin
}

// distrusts reports whether a client ended a handshake because of the certificate that it was shown. Go's
// clients say bad certificate, OpenSSL's unknown authority, Java's unknown certificate.
func distrusts(err error) bool {
	_, alert, ok := strings.Cut(err.Error(), "remote error: tls: ")
	return ok && slices.Contains([]string{"bad certificate", "unknown certificate", "unknown certificate authority", "expired certificate"}, alert)
}

// errNotTLS ends a connection whose client doesn't speak TLS.
var errNotTLS = errors.New("the client does not speak TLS, which this listener does")

// foreign returns what a client seems to speak whose first bytes are no record of TLS.
func foreign(header [5]byte) string {
	switch {
	case kafka.LooksLikeHTTP([4]byte(header[:4])):
		return " (it looks like HTTP)"
	case header[0] == 0:
		return " (it looks like Kafka's protocol in plaintext: the client's security.protocol must be SSL or SASL_SSL)"
	}
	return ""
}

// certified names the client by its certificate, if it has shown one.
func (c *conn) certified(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		c.b.conns.authenticated(c)
		return nil
	}
	cert := state.PeerCertificates[0]
	subject, err := principal.Subject(cert.RawSubject)
	if err != nil {
		return err
	}
	name, err := c.listener.Rules.Name(subject, principal.Alternatives(cert)...)
	if err != nil {
		return err
	}
	c.welcome(mechanismTLS, "User:"+name)
	return nil
}
