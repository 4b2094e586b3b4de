package broker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"varve/auth/acl"
	"varve/auth/sasl"
)

// ErrPassword: there is no such user, or the password is another one.
var ErrPassword = errors.New("the user doesn't exist, or the password is wrong")

// mechanismBasic is the mechanism of the admin API in logs and metrics.
const mechanismBasic = "BASIC"

// Authenticate returns the principal of a user of the admin API. Of addr, a host and a port,
// failures are counted with those of Kafka's clients, and answered as late.
func (b *Broker) Authenticate(ctx context.Context, addr, user, password string) (principal string, err error) {
	began := time.Now()
	exchange, err := b.sasl.Begin(sasl.Plain)
	if err != nil {
		return "", err
	}
	_, who, err := exchange.Step(ctx, []byte("\x00"+user+"\x00"+password))
	host := hostOnly(addr)
	client := slog.Group("client", slog.String("principal", "User:"+short(user)), slog.String("addr", addr))
	if err == nil {
		b.auth.metrics.results.WithLabelValues(mechanismBasic, "success").Inc()
		if unsaid, ok := b.auth.successes.say(mechanismBasic+" "+who.User+" "+host, time.Now()); ok {
			b.auth.audit.Info("authenticated", "mechanism", mechanismBasic, "listener", "http", client, "not_logged", unsaid)
		}
		return "User:" + who.User, nil
	}
	if failure := (*sasl.Failure)(nil); !errors.As(err, &failure) {
		return "", err // it was given up
	}
	b.auth.metrics.results.WithLabelValues(mechanismBasic, "failure").Inc()
	if unsaid, ok := b.auth.failures.say(host, time.Now()); ok {
		b.auth.audit.Warn("authentication failed", "mechanism", mechanismBasic, "user", short(user), "listener", "http", client, "err", short(err.Error()), "not_logged", unsaid)
	}
	if err := until(ctx, began.Add(b.auth.penalties.next(host, time.Now()))); err != nil {
		return "", err
	}
	return "", ErrPassword
}

// MayOperate reports whether a principal may read the state of the cluster (DESCRIBE), or change it
// (ALTER), by the admin API. A denial is logged.
func (b *Broker) MayOperate(principal, addr string, change bool) bool {
	op := opDescribe
	if change {
		op = opAlter
	}
	c := &caller{principal: principal, addr: addr, host: hostOnly(addr), listener: "http", rights: b.authorizer.rights()}
	return c.allowed(op, onCluster, theCluster)
}

func hostOnly(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return acl.CanonicalHost(host)
}

// until waits for a moment.
func until(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
