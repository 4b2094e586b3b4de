package broker

import (
	"context"
	"errors"
	"time"

	"varve/auth/sasl"
)

// ErrPassword: there is no such user, or the password is another one.
var ErrPassword = errors.New("the user doesn't exist, or the password is wrong")

// mechanismBasic is the mechanism of the admin API in logs and metrics.
const mechanismBasic = "BASIC"

// webListener stands for a listener's name in the audit log.
const webListener = "http"

// Authenticate returns the principal of a user of the admin API. addr is the client's host and
// port. Failures are counted with those of Kafka's clients, and answered as late.
func (b *Broker) Authenticate(ctx context.Context, addr, user, password string) (principal string, err error) {
	began := time.Now()
	c := &caller{principal: anonymous, addr: addr, host: hostOf(addr), listener: webListener}
	exchange, err := b.sasl.Begin(sasl.Plain, network(c.host))
	if err != nil {
		return "", err
	}
	_, who, err := exchange.Step(ctx, []byte("\x00"+user+"\x00"+password))
	if err == nil {
		c.principal = "User:" + who.User
		b.auth.succeeded(mechanismBasic, c)
		return c.principal, nil
	}
	if failure := (*sasl.Failure)(nil); !errors.As(err, &failure) {
		return "", err // it was given up
	}
	b.auth.failed(mechanismBasic, user, c, err)
	if err := b.auth.atone(ctx, c.host, began); err != nil {
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
	c := &caller{principal: principal, addr: addr, host: hostOf(addr), listener: webListener, rights: b.authorizer.rights()}
	return c.allowed(op, onCluster, theCluster)
}
