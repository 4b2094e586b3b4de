package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/principal"
	"varve/auth/sasl"
)

// recorder keeps what a client writes.
type recorder struct {
	net.Conn
	wrote []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.wrote = append(r.wrote, p...)
	return r.Conn.Write(p)
}

// over returns the client's side of TLS on a connection.
func (c *client) over(cfg *tls.Config) *client {
	return &client{T: c.T, Conn: tls.Client(c.Conn, cfg)}
}

var anyServer = &tls.Config{InsecureSkipVerify: true}

// The log says what is wrong with a client of another protocol, once, and how to mend it.
func TestWrongProtocolsAreNamed(t *testing.T) {
	server := selfSigned(t)
	hello := func(c *client) { _ = c.over(anyServer).Conn.(*tls.Conn).Handshake() }
	http := func(c *client) { _, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) }
	plain := func(c *client) { c.ask(kmsg.NewPtrApiVersionsRequest(), 0) }
	for _, x := range []struct {
		l    *Listener
		send func(*client)
		want string
	}{
		{&Listener{TLS: server}, plain, "does not speak TLS, which this listener does (it looks like Kafka's protocol in plaintext: the client's security.protocol must be SSL or SASL_SSL)"},
		{&Listener{TLS: server}, http, "does not speak TLS, which this listener does (it looks like HTTP)"},
		{&Listener{TLS: server}, func(c *client) { _, _ = c.Write([]byte("nonsense")) }, "does not speak TLS"},
		{new(Listener), hello, "looks like TLS, which this listener does not speak"},
		{new(Listener), http, "looks like HTTP, which this listener does not speak"},
		{saslOnly, hello, "looks like TLS"},
		{saslOnly, func(c *client) { c.served() }, "unexpected request DescribeUserSCRAMCredentials before authentication: this listener wants SASL ([SCRAM-SHA-512 SCRAM-SHA-256 PLAIN])"},
	} {
		withBouncer(t, nil, func(x2 *bouncer) {
			for range 3 {
				c := x2.serve(x.l)
				go io.Copy(io.Discard, c)
				x.send(c)
				c.Close()
				synctest.Wait()
			}
			if log := x2.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, x.want) {
				t.Errorf("want %q in the only line of\n%s", x.want, log)
			}
		})
	}
}

// The log says of a client that doesn't trust the listener's certificate that this is so.
func TestDistrustIsNamed(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		withBouncer(t, nil, func(x *bouncer) {
			c := x.serve(&Listener{TLS: selfSigned(t)}).over(&tls.Config{ServerName: "broker", RootCAs: x509.NewCertPool(), MaxVersion: version})
			if c.served() {
				t.Error("served")
			}
			c.Close()
			synctest.Wait()
			if log := x.log.String(); !strings.Contains(log, "the client doesn't trust this listener's certificate: remote error: tls: bad certificate") {
				t.Errorf("log\n%s", log)
			}
		})
	}
	for says, want := range map[string]bool{"remote error: tls: unknown certificate authority": true, "remote error: tls: unknown certificate": true, "remote error: tls: handshake failure": false, "tls: bad certificate": false} {
		if distrusts(errors.New(says)) != want {
			t.Errorf("%s: %v", says, !want)
		}
	}
}

// A handshake that is cut off at any byte, or changed there, ends only its connection; one that
// stalls ends in time.
func TestHandshakesThatBreak(t *testing.T) {
	l := &Listener{TLS: selfSigned(t), Mechanisms: sasl.PasswordMechanisms()}
	withBouncer(t, nil, func(x *bouncer) {
		c := x.serve(l)
		rec := &recorder{Conn: c.Conn}
		c.Conn = rec
		c = c.over(anyServer)
		if resp := c.plain("alice", "secret"); resp == nil || resp.ErrorCode != 0 || !c.served() {
			t.Fatalf("%+v", resp)
		}
		c.Close()
		whole := rec.wrote
		for n := 0; n < len(whole); n += 1 + n/64 {
			for _, bad := range [][]byte{whole[:n], append(append(append([]byte(nil), whole[:n]...), whole[n]^0x55), whole[n+1:]...)} {
				c := x.serve(l)
				go io.Copy(io.Discard, c)
				_, _ = c.Write(bad)
				c.Close()
			}
		}
		synctest.Wait()
		if open := x.Memory().Connections; open != 0 {
			t.Errorf("%d are open", open)
		}
		stalled := x.serve(l)
		if _, err := stalled.Write(whole[:50]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(x.cfg.RequestTimeout - 1)
		synctest.Wait()
		if open := x.Memory().Connections; open != 1 {
			t.Errorf("%d are open", open)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if open := x.Memory().Connections; open != 0 || testutil.ToFloat64(x.auth.metrics.late) != 1 {
			t.Errorf("%d are open", open)
		}
	})
}

// A client's certificate names it, by the listener's rules; if none matches, it isn't let in.
func TestCertificatesNameClients(t *testing.T) {
	server, mine := selfSigned(t), selfSigned(t)
	for rules, want := range map[string]string{"DEFAULT": "User:", "RULE:^.*$/all/U": "User:ALL", "RULE:^CN=(.*)$/$1/": ""} {
		withBouncer(t, nil, func(x *bouncer) {
			r, err := principal.Parse([]string{rules})
			if err != nil {
				t.Fatal(err)
			}
			cfg := server.Clone()
			cfg.ClientAuth, cfg.ClientCAs = tls.RequireAnyClientCert, x509.NewCertPool()
			c := x.serve(&Listener{TLS: cfg, Rules: r}).over(&tls.Config{InsecureSkipVerify: true, Certificates: mine.Certificates})
			if served := c.served(); served != (want != "") {
				t.Errorf("%s: served %v", rules, served)
			}
			c.Close()
			synctest.Wait()
			log := x.log.String()
			if want == "" && !strings.Contains(log, "no principal mapping rule matches") || want != "" && !strings.Contains(log, "client.principal="+want+" ") {
				t.Errorf("%s: log\n%s", rules, log)
			}
		})
	}
}
