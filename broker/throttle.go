package broker

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/quota"
	"varve/cluster"
)

// quotas delay clients that use more than they may. A nil quotas delays none.
type quotas struct {
	all     *cluster.Quotas
	meters  *quota.Meters
	metrics *quotaMetrics
}

func newQuotas(deps *Deps) *quotas {
	meters := quota.NewMeters(quota.MaxMeters, time.Now())
	return &quotas{all: deps.View.Quotas, meters: meters, metrics: newQuotaMetrics(deps.Registry, meters)}
}

// mostConnectWait is the longest wait for the quota of connection_creation_rate.
const mostConnectWait = time.Second

// connects returns 0 if an address may connect once more now, else for how long it should wait.
func (q *quotas) connects(host string) time.Duration {
	set := q.all.Set()
	if !set.Has(quota.ConnectionCreationRate) {
		return 0
	}
	r, wait := q.meters.TryIP(set, quota.ConnectionCreationRate, host, time.Now())
	wait = min(wait, mostConnectWait)
	if wait > 0 {
		q.metrics.throttled(r, wait)
	}
	return wait
}

// throttle holds one connection back (KIP-219): answers are sent at once and say for how long
// the client should wait, and until then no further request is read. The connection's reading
// goroutine owns it. The zero value never holds back but for what hold is called with.
type throttle struct {
	quotas *quotas
	client *quota.Client // nil: there was no quota yet
	until  time.Time     // no request is read before
}

// limits returns what measures a caller, or nil if there are no quotas at all.
func (t *throttle) limits(c *caller) *quota.Client {
	if t == nil || t.quotas == nil {
		return nil
	}
	set := t.quotas.all.Set()
	if set == nil {
		return nil
	}
	if t.client == nil {
		t.client = quota.NewClient(t.quotas.meters)
	}
	t.client.Is(set, strings.TrimPrefix(c.principal, "User:"), c.clientID)
	return t.client
}

// held notes that a quota has a client wait, and returns for how long.
func (t *throttle) held(limits *quota.Client, k quota.Key, wait time.Duration) time.Duration {
	if wait > 0 {
		r, _ := limits.Rule(k)
		t.quotas.metrics.throttled(r, wait)
	}
	return wait
}

// mostRequestWait is the longest wait for the quota of request_percentage, as in Kafka that of
// one sample.
const mostRequestWait = time.Second

// worked adds the time that was worked on a request, without the time that it waited, and
// returns for how long the client has to wait.
func (t *throttle) worked(limits *quota.Client, r *request) time.Duration {
	if limits == nil {
		return 0
	}
	now := time.Now()
	percent := max(0, now.Sub(r.arrived)-r.idle).Seconds() * 100
	return t.held(limits, quota.RequestPercentage, min(limits.Record(quota.RequestPercentage, percent, now), mostRequestWait))
}

// hold has the connection read no request for a while.
func (t *throttle) hold(wait time.Duration) {
	if until := time.Now().Add(wait); wait > 0 && until.After(t.until) {
		t.until = until
	}
}

// throttled puts into an answer for how long its client should wait: at least for as long as its
// handler said.
func (c *conn) throttled(r *request, resp kmsg.Response) {
	limits := c.throttle.limits(r.caller)
	if limits == nil {
		return
	}
	wait := c.throttle.worked(limits, r)
	if told, ok := resp.(kmsg.ThrottleResponse); ok {
		already, _ := told.Throttle()
		wait = max(wait, time.Duration(already)*time.Millisecond)
		resp.(kmsg.SetThrottleResponse).SetThrottle(int32(wait.Milliseconds()))
	}
	c.throttle.hold(wait)
}

// errHeld ends a connection that had to wait for too long.
var errHeld = errors.New("held back by a quota for longer than idle_timeout")

// rest waits until the connection may go on. What the client sends meanwhile stays where it is,
// but for what one buffer takes: so it is seen that the client leaves. As by Kafka, a connection
// that has to wait for longer than idle is closed.
func (t *throttle) rest(ctx context.Context, nc net.Conn, r *bufio.Reader, idle time.Duration) error {
	if !time.Now().Before(t.until) {
		return nil
	}
	end := time.Now().Add(idle)
	if t.until.Before(end) {
		end = t.until
	}
	if err := nc.SetReadDeadline(end); err != nil {
		return err
	}
	for r.Buffered() < r.Size() && ctx.Err() == nil {
		_, err := r.Peek(r.Buffered() + 1)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			break
		}
		if err != nil {
			return err
		}
	}
	left := time.NewTimer(time.Until(end))
	defer left.Stop()
	select {
	case <-left.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if end.Before(t.until) {
		return errHeld
	}
	return nil
}

// mutations limits how many partitions one request creates and deletes (KIP-599). A nil one
// doesn't.
type mutations struct {
	throttle *throttle
	limits   *quota.Client
	strict   bool
	wait     time.Duration
	at       time.Time // when wait began
}

// mutations returns the limit for a request of a version; from strictSince on clients know the
// error of one that is exceeded, earlier ones only have to wait.
func (c *caller) mutations(version, strictSince int16) *mutations {
	limits := c.throttle.limits(c)
	if _, ok := limits.Rule(quota.ControllerMutationRate); !ok {
		return nil
	}
	return &mutations{throttle: c.throttle, limits: limits, strict: version >= strictSince}
}

// take is called before partitions are created or deleted.
func (m *mutations) take(partitions int32) error {
	if m == nil {
		return nil
	}
	now := time.Now()
	wait := m.limits.Take(quota.ControllerMutationRate, float64(partitions), m.strict, now)
	if wait == 0 {
		return nil
	}
	if m.wait == 0 {
		m.throttle.held(m.limits, quota.ControllerMutationRate, wait)
	}
	m.wait, m.at = wait, now
	if m.strict {
		return kerr.ThrottlingQuotaExceeded
	}
	return nil
}

// millis returns for how long the client should wait, from now on.
func (m *mutations) millis() int32 {
	if m == nil || m.wait == 0 {
		return 0
	}
	return int32(max(0, m.wait-time.Since(m.at)).Milliseconds())
}
