package certs

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"varve/internal/chance"
)

const day = 24 * time.Hour

func authority(t *testing.T) (Pair, *Authority) {
	t.Helper()
	p, err := NewAuthority((*chance.Source)(nil), "test authority", time.Now(), 100*day)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ReadAuthority(p)
	if err != nil {
		t.Fatal(err)
	}
	return p, a
}

func issue(t *testing.T, a *Authority, r Request) (Pair, *x509.Certificate) {
	t.Helper()
	p, err := a.Issue((*chance.Source)(nil), r)
	if err != nil {
		t.Fatal(err)
	}
	c, err := First(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	return p, c
}

// What an authority issues is good for its kind and its hosts, and for nothing else.
func TestIssued(t *testing.T) {
	p, a := authority(t)
	root, err := First(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	_, agent := issue(t, a, Request{Name: "agent-1", Hosts: []string{"agent-1.example", "10.0.0.1", "::1"}, Kind: Agent, From: time.Now(), For: 10 * day})
	_, client := issue(t, a, Request{Name: "alice", Kind: Client, From: time.Now(), For: 10 * day})
	server, asClient := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, c := range []struct {
		what string
		cert *x509.Certificate
		x509.VerifyOptions
		good bool
	}{
		{"an agent by its name", agent, x509.VerifyOptions{DNSName: "agent-1.example", KeyUsages: server}, true},
		{"an agent by its address", agent, x509.VerifyOptions{DNSName: "10.0.0.1", KeyUsages: server}, true},
		{"an agent by its address of version 6", agent, x509.VerifyOptions{DNSName: "::1", KeyUsages: server}, true},
		{"an agent by its common name", agent, x509.VerifyOptions{DNSName: "agent-1", KeyUsages: server}, false},
		{"an agent as a client of another", agent, x509.VerifyOptions{KeyUsages: asClient}, true},
		{"a client", client, x509.VerifyOptions{KeyUsages: asClient}, true},
		{"a client as a server", client, x509.VerifyOptions{KeyUsages: server}, false},
		{"an agent after its time", agent, x509.VerifyOptions{KeyUsages: server, CurrentTime: time.Now().Add(11 * day)}, false},
		{"an agent by a clock that goes slow", agent, x509.VerifyOptions{KeyUsages: server, CurrentTime: time.Now().Add(-backdated / 2)}, true},
	} {
		c.Roots = pool
		if _, err := c.cert.Verify(c.VerifyOptions); (err == nil) != c.good {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if agent.SerialNumber.Cmp(client.SerialNumber) == 0 || agent.SerialNumber.Sign() <= 0 {
		t.Error("serial numbers are the same, or not positive")
	}
}

// An authority of another's key, or a certificate that is none, is refused.
func TestBadAuthorities(t *testing.T) {
	p, a := authority(t)
	other, _ := authority(t)
	client, _ := issue(t, a, Request{Name: "alice", From: time.Now(), For: day})
	for _, c := range []struct {
		what string
		Pair
		says string
	}{
		{"the key of another authority", Pair{p.Cert, other.Key}, "not the certificate's"},
		{"a client's certificate", client, "no authority's"},
		{"no key", Pair{p.Cert, []byte("secret")}, "no key in PEM"},
		{"a damaged key", Pair{p.Cert, []byte(strings.Replace(string(p.Key), "MIG", "AAA", 1))}, "the key"},
		{"no certificate", Pair{p.Key, p.Key}, "no certificate in PEM"},
	} {
		if _, err := ReadAuthority(c.Pair); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if _, err := a.Issue((*chance.Source)(nil), Request{Name: "x", From: time.Now(), For: 101 * day}); !errors.Is(err, ErrOutlives) {
		t.Errorf("a certificate that outlives its authority: %v", err)
	}
}
