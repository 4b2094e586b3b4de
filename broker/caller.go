package broker

import (
	"log/slog"
	"net"
	"strings"

	"varve/auth/acl"
	"varve/meter"
)

// caller is the client whose request is served: what authorization, quotas, logs and
// answers with addresses need of it. A caller doesn't change: requests that are still
// worked on keep theirs.
type caller struct {
	principal string    // as Kafka's KafkaPrincipal is written
	proven    bool      // it has proved that it is the principal, other than by being anonymous
	token     string    // the id of the delegation token by which it has; "": none
	clientID  string    // from the request's header
	addr      string    // host and port
	host      string    // addr without the port
	reached   net.Addr  // the address at which the client reached this agent
	listener  string    // by name
	software  string    // what the client says it is (KIP-511); "": nothing
	version   string    // of software
	rights    *rights   // of its connection; nil: everything
	throttle  *throttle // of its connection, of which only the reading goroutine makes use; nil: no quotas
}

// anonymous is the principal of a connection without authentication.
const anonymous = "User:ANONYMOUS"

func newCaller(nc net.Conn, listener string) *caller {
	a := nc.RemoteAddr()
	return &caller{principal: anonymous, addr: a.String(), host: hostOf(a.String()), reached: nc.LocalAddr(), listener: listener}
}

// named returns the caller with the client id of its next request.
func (c *caller) named(clientID string) *caller {
	if c.clientID == clientID {
		return c
	}
	next := *c
	next.clientID = clientID
	return &next
}

// introduced returns the caller with the name and version of its client's software (KIP-511).
func (c *caller) introduced(software, version string) *caller {
	if c.software == software && c.version == version {
		return c
	}
	next := *c
	next.software, next.version = software, version
	return &next
}

// counting has the counters of a connection's caller.
type counting struct {
	caller *caller
	counts *meter.ClientConn
}

// of returns the counters of a caller of this connection.
func (n *counting) of(all *meter.Clients, c *caller) *meter.ClientConn {
	if n.caller != c {
		n.close()
		valid := func(text string) string { return short(strings.ToValidUTF8(text, "?")) }
		n.caller, n.counts = c, all.Open(meter.ClientName{User: valid(strings.TrimPrefix(c.principal, "User:")), ID: valid(c.clientID)})
	}
	return n.counts
}

func (n *counting) close() {
	if n.counts != nil {
		n.counts.Close()
	}
}

// hostOf returns the host of an address, in the form in which ACLs have hosts.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return acl.CanonicalHost(host)
}

// attr is a log line's attribute with the client that asked.
func (c *caller) attr() slog.Attr {
	attrs := []any{slog.String("principal", c.principal), slog.String("addr", c.addr), slog.String("id", short(c.clientID))}
	if c.token != "" {
		attrs = append(attrs, slog.String("token", c.token))
	}
	return slog.Group("client", attrs...)
}
