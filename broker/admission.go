package broker

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// admission is what a connection is open on, and for how long it may be without a proof of who
// its client is.
type admission struct {
	raw      net.Conn
	proves   bool        // its listener asks for TLS or SASL
	patience *time.Timer // cuts it off; nil: it need not prove anything
	end      func()      // ends the context of its requests; nil: it has none of its own
	why      atomic.Pointer[error]
}

// Why connections end that are not authenticated.
var (
	errLate = errors.New("the client did not authenticate itself in time")
	errRoom = errors.New("the client had not authenticated itself, and others needed the room")
)

// limit cuts the connection off if it isn't settled in time.
func (a *admission) limit(patience time.Duration) {
	if a.proves {
		a.patience = time.AfterFunc(patience, func() { a.cut(errLate) })
	}
}

// settle ends the wait.
func (a *admission) settle() {
	if a.patience != nil {
		a.patience.Stop()
	}
}

// cut ends the connection at once, whatever it is about. Only the first reason counts.
func (a *admission) cut(why error) {
	a.why.CompareAndSwap(nil, &why)
	a.raw.Close() // not that of TLS, which would wait to say goodbye
	if a.end != nil {
		a.end() // what waits for it waits no longer
	}
}

// cutWhy returns why the connection was cut off, or nil.
func (a *admission) cutWhy() error {
	if why := a.why.Load(); why != nil {
		return *why
	}
	return nil
}
