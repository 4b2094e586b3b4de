package broker

import (
	"context"
	"errors"
	"strings"
	"time"

	"varve/auth/sasl"
)

// ErrPassword: there is no such user, or the password is another one.
var ErrPassword = errors.New("the user doesn't exist, or the password is wrong")

// ErrToken: a token isn't good. Why is only logged.
var ErrToken = errors.New("the token isn't good; the agent's log says why")

// The mechanisms of the admin API in logs and metrics.
const (
	mechanismBasic  = "BASIC"
	mechanismBearer = "BEARER"
)

// webListener stands for a listener's name in the audit log.
const webListener = "http"

// Authenticate returns the principal of a user of the admin API. addr is the client's host and
// port. Failures are counted with those of Kafka's clients, and answered as late.
func (b *Broker) Authenticate(ctx context.Context, addr, user, password string) (principal string, err error) {
	return b.authenticateWeb(ctx, addr, webLogin{mechanismBasic, sasl.Plain, "\x00" + user + "\x00" + password, ErrPassword})
}

// AuthenticateToken is Authenticate for a bearer token, which is checked as one of OAUTHBEARER.
func (b *Broker) AuthenticateToken(ctx context.Context, addr, token string) (principal string, err error) {
	if strings.Contains(token, "\x01") {
		token = "" // it would end the token, and be no token either
	}
	return b.authenticateWeb(ctx, addr, webLogin{mechanismBearer, sasl.OAuthBearer, "n,,\x01auth=Bearer " + token + "\x01\x01", ErrToken})
}

// webLogin is how somebody logs in by the admin API.
type webLogin struct {
	name      string // in logs and metrics
	mechanism string // of SASL that is the same
	message   string // the client's one
	refused   error
}

func (b *Broker) authenticateWeb(ctx context.Context, addr string, l webLogin) (principal string, err error) {
	began := time.Now()
	c := &caller{principal: anonymous, addr: addr, host: hostOf(addr), listener: webListener}
	exchange, err := b.sasl.Begin(l.mechanism, network(c.host))
	if err != nil {
		return "", err
	}
	_, who, err := exchange.Step(ctx, []byte(l.message))
	if err == nil {
		c.principal = "User:" + who.User
		b.auth.succeeded(l.name, c)
		return c.principal, nil
	}
	if failure := (*sasl.Failure)(nil); !errors.As(err, &failure) {
		return "", err // it was given up
	}
	b.auth.failed(l.name, exchange.Claimed(), c, err)
	if err := b.auth.atone(ctx, c.host, began); err != nil {
		return "", err
	}
	return "", l.refused
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
