package kerberos

import (
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"

	"varve/internal/workbound"
)

// Whatever a stranger sends, nobody but alice, whose ticket it is, is let in, and it costs no more
// than its size.
func FuzzAccept(f *testing.F) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	w := newWorld(f, aes)
	l := w.login(aes)
	f.Add(w.token(l))
	f.Add(w.request(l))
	f.Fuzz(func(t *testing.T, token []byte) {
		w.a.replays.mu.young, w.a.replays.mu.old = nil, nil
		workbound.Check(t, len(token)+4096, func() {
			c, client, err := w.a.Accept(token)
			if err == nil && (client != "alice@R" || c.user != "alice") {
				t.Errorf("%q is let in as %q", client, c.user)
			}
		})
	})
}

// A client with a good ticket may encrypt anything as its authenticator: that names nobody else, and panics
// nowhere. So may a KDC that went mad.
func FuzzAuthenticator(f *testing.F) {
	const aes = etypeID.AES128_CTS_HMAC_SHA256_128
	w := newWorld(f, aes)
	l := w.login(aes)
	b, err := l.auth.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, false)
	f.Add([]byte{0x60, 0x80}, true)
	of := *w
	f.Fuzz(func(t *testing.T, plain []byte, ofTicket bool) {
		w := of
		w.TB = t
		l.change = func(r *messages.APReq) {
			key, usage, to := l.part.Key, keyusage.AP_REQ_AUTHENTICATOR, &r.EncryptedAuthenticator
			if ofTicket {
				key, usage, to = w.tab.Entries[0].Key, keyusage.KDC_REP_TICKET, &r.Ticket.EncPart
			}
			sealed, err := crypto.GetEncryptedData(plain, key, uint32(usage), l.version)
			if err != nil {
				t.Fatal(err)
			}
			*to = sealed
		}
		token := w.token(l)
		if len(token) > maxToken {
			return
		}
		workbound.Check(t, len(plain)+4096, func() {
			if _, client, err := w.a.Accept(token); err == nil && !ofTicket && client != "alice@R" {
				t.Errorf("%q is let in", client)
			}
		})
	})
}

// No message but the client's own is taken for its.
func FuzzUnwrap(f *testing.F) {
	const aes = etypeID.AES256_CTS_HMAC_SHA384_192
	w := newWorld(f, aes)
	l := w.login(aes)
	c := w.accept(w.token(l))
	f.Add(w.message(l.part.Key, 0, 1000, 0, []byte("hello")))
	f.Add(w.message(l.part.Key, 0, 1000, 17, []byte{1, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, token []byte) {
		workbound.Check(t, len(token)+4096, func() {
			if got, err := c.Unwrap(token); err == nil && string(got) != "hello" && string(got) != "\x01\x00\x00\x00" {
				t.Errorf("%q", got)
			}
		})
	})
}

// A damaged keytab is an error.
func FuzzKeytab(f *testing.F) {
	tab := keytab.New()
	for _, p := range []string{"kafka/host", "http/host"} {
		if err := tab.AddEntry(p, "R", "secret", time.Unix(1, 0), 3, etypeID.AES128_CTS_HMAC_SHA1_96); err != nil {
			f.Fatal(err)
		}
	}
	b, err := tab.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{5, 1, 0x80, 0, 0, 0, 0, 0, 0, 0})
	cfg := DefaultConfig()
	f.Fuzz(func(t *testing.T, b []byte) {
		workbound.Check(t, len(b), func() {
			if k, err := parseKeytab(&cfg, b); err == nil && len(k.keys) == 0 {
				t.Error("no keys")
			}
		})
	})
}
