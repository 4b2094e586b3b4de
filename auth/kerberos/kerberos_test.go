package kerberos

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"varve/internal/vfs"
)

var moment = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// world is a realm with a service, made by the library's client's side.
type world struct {
	testing.TB
	tab  *keytab.Keytab
	file string
	now  time.Time
	a    *Acceptor
}

// newWorld makes a service kafka/host with a key of an encryption type.
func newWorld(t testing.TB, encryption int32, change ...func(*Config)) *world {
	t.Helper()
	w := &world{TB: t, tab: keytab.New(), file: filepath.Join(t.TempDir(), "keytab"), now: moment}
	w.add("kafka/host", "R", 3, encryption)
	w.save()
	cfg := DefaultConfig()
	cfg.KeytabFile = w.file
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if w.a, err = Open(cfg, Deps{FS: vfs.OS{}, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) add(principal, realm string, version uint8, encryption int32) {
	w.Helper()
	what := fmt.Sprint(principal, realm, version, encryption)
	one, ok := keytabs.Load(what)
	if !ok {
		tab := keytab.New()
		if err := tab.AddEntry(principal, realm, "secret"+string(rune('0'+version)), moment.Add(time.Duration(version)*time.Hour), version, encryption); err != nil {
			w.Fatal(err)
		}
		one, _ = keytabs.LoadOrStore(what, tab)
	}
	w.tab.Entries = append(w.tab.Entries, one.(*keytab.Keytab).Entries...)
}

// keytabs are of one key: to make one of a password takes long.
var keytabs sync.Map

func (w *world) save() {
	w.Helper()
	b, err := w.tab.Marshal()
	if err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(w.file, b, 0o600); err != nil {
		w.Fatal(err)
	}
}

// login is what a client sends, and what it says of itself. Its fields may be changed before it is sent.
type login struct {
	service string
	realm   string
	version int
	part    messages.EncTicketPart
	auth    types.Authenticator
	asks    uint32
	key     types.EncryptionKey // by which the ticket is; empty: that of the keytab
	change  func(*messages.APReq)
}

func (w *world) login(encryption int32) *login {
	w.Helper()
	etype, err := crypto.GetEtype(encryption)
	if err != nil {
		w.Fatal(err)
	}
	session := types.EncryptionKey{KeyType: encryption, KeyValue: make([]byte, max(keyBytes[encryption], etype.GetKeyByteSize()))}
	for i := range session.KeyValue {
		session.KeyValue[i] = byte(i)
	}
	alice := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "alice")
	flags := types.NewKrbFlags()
	return &login{
		service: "kafka/host", realm: "R", version: 3,
		part: messages.EncTicketPart{Flags: flags, Key: session, CRealm: "R", CName: alice, AuthTime: w.now.Add(-time.Hour), StartTime: w.now.Add(-time.Hour), EndTime: w.now.Add(time.Hour)},
		auth: types.Authenticator{AVNO: 5, CRealm: "R", CName: alice, CTime: w.now, Cusec: 17, SeqNumber: 1000},
	}
}

// token returns the client's first message.
func (w *world) token(l *login) []byte {
	w.Helper()
	return wrapped(kindRequest, w.request(l))
}

func (w *world) request(l *login) []byte {
	w.Helper()
	b, err := asn1.Marshal(l.part)
	if err != nil {
		w.Fatal(err)
	}
	name := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, l.service)
	key := l.key
	if key.KeyType == 0 {
		if key, _, err = w.tab.GetEncryptionKey(name, l.realm, l.version, w.tab.Entries[0].Key.KeyType); err != nil {
			w.Fatal(err)
		}
	}
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(b, asnAppTag.EncTicketPart), key, keyusage.KDC_REP_TICKET, l.version)
	if err != nil {
		w.Fatal(err)
	}
	if l.auth.Cksum.Checksum == nil {
		sum := make([]byte, 24)
		sum[0] = 16
		binary.LittleEndian.PutUint32(sum[20:], l.asks)
		l.auth.Cksum = types.Checksum{CksumType: 0x8003, Checksum: sum}
	}
	req, err := messages.NewAPReq(messages.Ticket{TktVNO: 5, Realm: l.realm, SName: name, EncPart: sealed}, l.part.Key, l.auth)
	if err != nil {
		w.Fatal(err)
	}
	if l.change != nil {
		l.change(&req)
	}
	b, err = req.Marshal()
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// accept wants the client to be let in.
func (w *world) accept(token []byte) *Context {
	w.Helper()
	c, client, err := w.a.Accept(token)
	if err != nil {
		w.Fatal(err)
	}
	if names, _ := c.Names(); names[0] != client {
		w.Errorf("%q is called %v", client, names)
	}
	return c
}

// refuse wants it not to be, for a reason.
func (w *world) refuse(what string, token []byte, why string) {
	w.Helper()
	if c, _, err := w.a.Accept(token); c != nil || err == nil || !strings.Contains(err.Error(), why) {
		w.Errorf("%s: %v, want %q", what, err, why)
	}
}

var encryptions = []int32{etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.AES256_CTS_HMAC_SHA384_192}

// A client gets in by each encryption type, with and without the header of GSS-API, with and without a key of
// its own, whether or not it asks who the server is; then messages go both ways.
func TestClientsAreAccepted(t *testing.T) {
	for _, encryption := range encryptions {
		for _, bare := range []bool{false, true} {
			for _, mutual := range []bool{false, true} {
				for _, subkey := range []bool{false, true} {
					w := newWorld(t, encryption)
					l := w.login(encryption)
					want := l.part.Key
					if subkey {
						l.auth.SubKey = types.EncryptionKey{KeyType: encryption, KeyValue: bytes.Repeat([]byte{7}, keyBytes[encryption])}
						want = l.auth.SubKey
					}
					if l.asks = askReplay | askSequence; mutual {
						l.asks |= askMutual
					}
					token := w.token(l)
					if bare {
						token = w.request(l)
					}
					c := w.accept(token)
					if _, user := c.Names(); user != "alice" {
						t.Errorf("the user is %q", user)
					}
					flags, first := byte(0), uint64(1000)
					if mutual {
						part := w.openReply(c.Reply(), l)
						want, flags, first = part.Subkey, byAcceptorKey, uint64(part.SequenceNumber)
					} else if c.Reply() != nil {
						t.Error("there is a reply that nobody asked for")
					}
					w.fromServer(c, want, flags, first)
					token = w.message(want, flags, 1000, 0, []byte("hello"))
					if got, err := c.Unwrap(token); err != nil || string(got) != "hello" {
						t.Errorf("%d: %q, %v", encryption, got, err)
					}
					if _, err := c.Unwrap(token); err == nil {
						t.Error("a message counts twice")
					}
				}
			}
		}
	}
}

// openReply returns what the server proved to the client.
func (w *world) openReply(reply []byte, l *login) messages.EncAPRepPart {
	w.Helper()
	content, ok := element(reply, tagToken)
	if !ok || !bytes.HasPrefix(content, append(append([]byte{}, mechanism...), 2, 0)) {
		w.Fatalf("the reply is %x", reply)
	}
	var rep messages.APRep
	if err := rep.Unmarshal(content[len(mechanism)+2:]); err != nil {
		w.Fatal(err)
	}
	b, err := crypto.DecryptEncPart(rep.EncPart, l.part.Key, keyusage.AP_REP_ENCPART)
	if err != nil {
		w.Fatal(err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(b); err != nil || !part.CTime.Equal(l.auth.CTime) || part.Cusec != l.auth.Cusec || !strong(part.Subkey) {
		w.Fatalf("%+v, %v", part, err)
	}
	return part
}

// fromServer reads a message of the server.
func (w *world) fromServer(c *Context, key types.EncryptionKey, flags byte, first uint64) {
	w.Helper()
	for i := range uint64(2) {
		b, err := c.Wrap([]byte{1, 0, 0, 0})
		if err != nil {
			w.Fatal(err)
		}
		var t gssapi.WrapToken
		if err := t.Unmarshal(b, true); err != nil {
			w.Fatal(err)
		}
		if ok, err := t.Verify(key, keyusage.GSSAPI_ACCEPTOR_SEAL); !ok || err != nil || t.Flags != flags|byAcceptor || t.SndSeqNum != first+i || !bytes.Equal(t.Payload, []byte{1, 0, 0, 0}) {
			w.Errorf("%+v, %v", t, err)
		}
	}
}

// message returns one of the client, rotated.
func (w *world) message(key types.EncryptionKey, flags byte, number uint64, rotation int, payload []byte) []byte {
	w.Helper()
	t := gssapi.WrapToken{Flags: flags, SndSeqNum: number, Payload: payload}
	if err := t.SetCheckSum(key, keyusage.GSSAPI_INITIATOR_SEAL); err != nil {
		w.Fatal(err)
	}
	t.EC = uint16(len(t.CheckSum))
	b, err := t.Marshal()
	if err != nil {
		w.Fatal(err)
	}
	binary.BigEndian.PutUint16(b[6:], uint16(rotation))
	if body := b[gssapi.HdrLen:]; rotation > 0 {
		at := len(body) - rotation%len(body)
		copy(body, append(bytes.Clone(body[at:]), body[:at]...))
	}
	return b
}

// Whatever isn't as it must be is refused, and the error says what.
func TestBadLoginsAreRefused(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	other := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "mallory")
	for _, c := range []struct {
		what   string
		change func(*world, *login)
		why    string
	}{
		{"another service", func(_ *world, l *login) { l.service, l.key = "http/host", l.part.Key }, "for http/host@R, of which the keytab has no key"},
		{"another host", func(_ *world, l *login) { l.service, l.key = "kafka/other", l.part.Key }, "for kafka/other@R"},
		{"another realm", func(_ *world, l *login) { l.realm, l.key = "S", l.part.Key }, "for kafka/host@S"},
		{"a service of many parts", func(_ *world, l *login) {
			l.change = func(r *messages.APReq) { r.Ticket.SName.NameString = strings.Split("kafka/host/3/4/5/6/7/8/9", "/") }
		}, "malformed"},
		{"a client of many parts", func(_ *world, l *login) {
			l.part.CName.NameString = strings.Split("1/2/3/4/5/6/7/8/9", "/")
			l.auth.CName = l.part.CName
		}, "more than 8 parts"},
		{"a service without a name", func(_ *world, l *login) { l.change = func(r *messages.APReq) { r.Ticket.SName.NameString = nil } }, "malformed"},
		{"another key", func(_ *world, l *login) { l.key = l.part.Key }, "not by the key of kafka/host@R"},
		{"another version", func(_ *world, l *login) { l.version, l.key = 4, l.part.Key }, "version 4 of the key"},
		{"an encryption type without a key", func(_ *world, l *login) {
			l.key = types.EncryptionKey{KeyType: etypeID.AES128_CTS_HMAC_SHA1_96, KeyValue: make([]byte, 16)}
		}, "of encryption type 17, of which"},
		{"a weak ticket", func(_ *world, l *login) {
			l.key = types.EncryptionKey{KeyType: etypeID.RC4_HMAC, KeyValue: make([]byte, 16)}
		}, "weak"},
		{"a weak session key", func(_ *world, l *login) {
			l.part.Key = types.EncryptionKey{KeyType: etypeID.RC4_HMAC, KeyValue: make([]byte, 16)}
		}, "weak"},
		{"a weak key of the client", func(_ *world, l *login) {
			l.auth.SubKey = types.EncryptionKey{KeyType: etypeID.DES3_CBC_SHA1_KD, KeyValue: make([]byte, 24)}
		}, "weak"},
		{"a key of another length", func(_ *world, l *login) {
			l.auth.SubKey = types.EncryptionKey{KeyType: aes, KeyValue: make([]byte, 16)}
		}, "weak"},
		{"expired", func(_ *world, l *login) { l.part.EndTime = moment.Add(-6 * time.Minute) }, "the ticket has expired 6m0s ago"},
		{"not good yet", func(_ *world, l *login) { l.part.StartTime = moment.Add(6 * time.Minute) }, "not good yet"},
		{"without a start, not good yet", func(_ *world, l *login) { l.part.StartTime, l.part.AuthTime = time.Time{}, moment.Add(6*time.Minute) }, "not good yet"},
		{"marked as invalid", func(_ *world, l *login) { types.SetFlag(&l.part.Flags, 7) }, "not good yet"},
		{"an old authenticator", func(_ *world, l *login) { l.auth.CTime = moment.Add(-6 * time.Minute) }, "the clocks of client and agent differ"},
		{"a future authenticator", func(_ *world, l *login) { l.auth.CTime = moment.Add(6 * time.Minute) }, "the clocks of client and agent differ"},
		{"an authenticator of somebody else", func(_ *world, l *login) { l.auth.CName = other }, "another client"},
		{"an authenticator of another realm", func(_ *world, l *login) { l.auth.CRealm = "S" }, "another client"},
		{"an unchecked realm", func(_ *world, l *login) { l.auth.CRealm, l.part.CRealm = "S", "S" }, "has not checked the way"},
		{"a realm without a rule", func(_ *world, l *login) {
			l.auth.CRealm, l.part.CRealm = "S", "S"
			types.SetFlag(&l.part.Flags, 12)
		}, "no rule"},
		{"a name that looks like another", func(_ *world, l *login) {
			l.auth.CName = types.PrincipalName{NameType: 1, NameString: []string{"alice@R"}}
			l.part.CName = l.auth.CName
		}, "quoting"},
		{"a checksum of another kind", func(_ *world, l *login) {
			l.auth.Cksum = types.Checksum{CksumType: 16, Checksum: make([]byte, 24)}
		}, "no checksum of GSS-API"},
		{"a short checksum", func(_ *world, l *login) {
			l.auth.Cksum = types.Checksum{CksumType: 0x8003, Checksum: []byte{16, 0, 0, 0}}
		}, "no checksum of GSS-API"},
		{"a checksum with other bindings", func(_ *world, l *login) {
			l.auth.Cksum = types.Checksum{CksumType: 0x8003, Checksum: make([]byte, 24)}
		}, "no checksum of GSS-API"},
		{"microseconds that are none", func(_ *world, l *login) { l.auth.Cusec = 1_000_000 }, "malformed"},
		{"another version of the protocol", func(_ *world, l *login) { l.change = func(r *messages.APReq) { r.PVNO = 4 } }, "malformed"},
		{"a short authenticator", func(_ *world, l *login) {
			l.change = func(r *messages.APReq) { r.EncryptedAuthenticator.Cipher = r.EncryptedAuthenticator.Cipher[:5] }
		}, "not by the ticket's key"},
		{"a short ticket", func(_ *world, l *login) {
			l.change = func(r *messages.APReq) { r.Ticket.EncPart.Cipher = r.Ticket.EncPart.Cipher[:5] }
		}, "not by the key of"},
		{"an authenticator that was changed", func(_ *world, l *login) {
			l.change = func(r *messages.APReq) { r.EncryptedAuthenticator.Cipher[20] ^= 1 }
		}, "not by the ticket's key"},
		{"a ticket that was changed", func(_ *world, l *login) {
			l.change = func(r *messages.APReq) { r.Ticket.EncPart.Cipher[20] ^= 1 }
		}, "not by the key of"},
	} {
		w := newWorld(t, aes)
		l := w.login(aes)
		c.change(w, l)
		w.refuse(c.what, w.token(l), c.why)
	}
}

// A name that a stranger made long costs nothing but to read it: it is compared with that of each key.
func TestNamesAreComparedWithoutCopies(t *testing.T) {
	one, long := name{[]string{"kafka", "host"}, "R"}, name{[]string{"kafka", strings.Repeat("x", 1000)}, "R"}
	same := 0
	if n := testing.AllocsPerRun(100, func() {
		for _, other := range []name{one, long, {[]string{"kafka"}, "R"}, {[]string{"kafka", "host"}, "S"}, {[]string{"kafka", "host", "x"}, "R"}} {
			if one.is(other) {
				same++
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if same != 101 {
		t.Errorf("%d are the same", same)
	}
}

// The reason speaks of DEFAULT only if that is among the rules.
func TestDefaultIsNamedIfItIsARule(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	for _, rules := range [][]string{nil, {"RULE:[1:$1](x.*)", "DEFAULT"}, {"RULE:[1:$1](x.*)"}} {
		w := newWorld(t, aes, func(c *Config) { c.Rules, c.Realm = rules, "S" })
		_, _, err := w.a.Accept(w.token(w.login(aes)))
		if err == nil || !strings.Contains(err.Error(), "no rule (principal_to_local_rules) is for alice@R") || strings.Contains(err.Error(), "DEFAULT is for principals of S") != (len(rules) != 1) {
			t.Errorf("%v: %v", rules, err)
		}
	}
}

// What is within the skew of the clocks is let in.
func TestClocksMayDiffer(t *testing.T) {
	const aes = etypeID.AES128_CTS_HMAC_SHA256_128
	for _, d := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		w := newWorld(t, aes)
		l := w.login(aes)
		l.auth.CTime = moment.Add(d)
		l.part.StartTime, l.part.EndTime = moment.Add(4*time.Minute), moment.Add(-4*time.Minute)
		w.accept(w.token(l))
	}
}

// A client of another realm gets in if the KDC has checked the way, and a rule names it.
func TestOtherRealms(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA384_192
	w := newWorld(t, aes, func(c *Config) { c.Rules = []string{"RULE:[1:$1@$0](.*@S)s/@/-/", "DEFAULT"} })
	l := w.login(aes)
	l.part.CRealm, l.auth.CRealm = "S", "S"
	types.SetFlag(&l.part.Flags, 12)
	if _, user := w.accept(w.token(l)).Names(); user != "alice-S" {
		t.Error(user)
	}
}

// A token that was used isn't good again, for as long as its time is near enough; and a client may come
// again with another one of the same moment.
func TestReplaysAreRefused(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	w := newWorld(t, aes)
	l := w.login(aes)
	l.auth.CTime, l.auth.Cusec = moment.Add(5*time.Minute), 0
	one, two := w.token(l), w.token(l)
	w.accept(one)
	w.refuse("at once", one, "replayed")
	w.accept(two)
	for _, d := range []time.Duration{time.Minute, 5 * time.Minute, 9 * time.Minute, 10 * time.Minute} {
		w.now = moment.Add(d)
		w.refuse(d.String(), one, "replayed")
	}
	w.now = moment.Add(10*time.Minute + time.Second)
	w.refuse("late", one, "the clocks of client and agent differ")
}

// After a start nobody remembers which tokens were used. One from before is refused if it could have been
// overheard, and could be used by who overheard it.
func TestTokensFromBeforeTheStart(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	for _, overheard := range []bool{false, true} {
		w := newWorld(t, aes)
		l, mutual := w.login(aes), w.login(aes)
		mutual.asks = askMutual
		token, other := w.token(l), w.token(mutual)
		w.accept(token)
		w.now = moment.Add(time.Second)
		deps := w.a.deps
		deps.Overheard = overheard
		var err error
		if w.a, err = Open(w.a.cfg, deps); err != nil {
			t.Fatal(err)
		}
		if overheard {
			w.refuse("from before the start", token, "1s older than this agent's start")
			l.auth.CTime, l.auth.Cusec = w.now, 0
			token = w.token(l)
		}
		w.accept(token)
		w.refuse("used", token, "replayed")
		w.accept(other)
	}
}

// Serves knows the hosts for which clients get tickets that are accepted.
func TestHostsOfTheKeytab(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	w := newWorld(t, aes)
	for host, want := range map[string]bool{"host": true, "HOST": true, "other": false, "": false} {
		if principal, ok := w.a.Serves(host); ok != want || principal != "kafka/"+host {
			t.Errorf("%q: %q, %v", host, principal, ok)
		}
	}
}

// The token of a client that asks who the agent is is of no use for somebody who overheard it, with all that
// the client said after it: each context has a key of its own, and the token doesn't tell it. So it isn't remembered.
func TestReplaysOfMutualClientsLeadNowhere(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	w := newWorld(t, aes)
	l := w.login(aes)
	l.asks = askMutual
	l.auth.SubKey = types.EncryptionKey{KeyType: aes, KeyValue: bytes.Repeat([]byte{7}, 32)}
	token := w.token(l)
	c := w.accept(token)
	said := w.message(w.openReply(c.Reply(), l).Subkey, byAcceptorKey, 1000, 0, []byte("message"))
	if _, err := c.Unwrap(said); err != nil {
		t.Fatal(err)
	}
	again := w.accept(token)
	for what, message := range map[string][]byte{"overheard": said, "by the client's key": w.message(l.auth.SubKey, byAcceptorKey, 1000, 0, []byte("message")), "by the session's key": w.message(l.part.Key, byAcceptorKey, 1000, 0, []byte("message"))} {
		if _, err := again.Unwrap(message); err == nil {
			t.Errorf("a replay gets on by a message %s", what)
		}
	}
	if n := len(w.a.replays.mu.young); n != 0 {
		t.Errorf("%d are remembered", n)
	}
}

// A client that logs in very often keeps only itself out, and only without mutual authentication.
func TestClientsDontKeepOthersOut(t *testing.T) {
	const aes = etypeID.AES128_CTS_HMAC_SHA1_96
	w := newWorld(t, aes)
	mutual := w.login(aes)
	mutual.asks = askMutual
	token := w.token(mutual)
	l := w.login(aes)
	for i := range mostOfClient {
		l.auth.Cusec = i
		w.accept(w.token(l))
		w.accept(token)
	}
	l.auth.Cusec++
	w.refuse("once too often", w.token(l), "the client has logged in too often lately")
	w.accept(w.token(mutual))
	other := w.login(aes)
	bob := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "bob")
	other.part.CName, other.auth.CName = bob, bob
	w.accept(w.token(other))
	w.now = w.now.Add(w.a.replays.window)
	w.accept(w.token(w.login(aes)))
}

// The memory of used tokens has a bound; then only those who prove with a key that is new are let in.
func TestManyReplaysAreBounded(t *testing.T) {
	const aes = etypeID.AES128_CTS_HMAC_SHA1_96
	w := newWorld(t, aes)
	var proof, client digest
	for i := range mostProofs {
		binary.BigEndian.PutUint64(proof[:], uint64(i))
		binary.BigEndian.PutUint64(client[:], uint64(i/mostOfClient))
		if err := w.a.replays.note(proof, client, w.now); err != nil {
			t.Fatal(i, err)
		}
	}
	l := w.login(aes)
	w.refuse("without room", w.token(l), "too many clients")
	l.asks, l.auth.Cksum = askMutual, types.Checksum{}
	w.accept(w.token(l))
	w.now = w.now.Add(w.a.replays.window)
	later := w.login(aes)
	w.accept(w.token(later))
	if n := len(w.a.replays.mu.old) + len(w.a.replays.mu.young); n != mostProofs+1 {
		t.Errorf("%d are remembered", n)
	}
	w.now = w.now.Add(2 * w.a.replays.window)
	w.accept(w.token(w.login(aes)))
	if n := len(w.a.replays.mu.old) + len(w.a.replays.mu.young); n != 1 {
		t.Errorf("%d are remembered", n)
	}
}

// A message of the client counts only in its context, as it was sent.
func TestMessagesAreChecked(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA384_192
	payload := []byte("message")
	fresh := func(asks uint32) (*world, *Context, *login) {
		w := newWorld(t, aes)
		l := w.login(aes)
		l.asks = asks
		return w, w.accept(w.token(l)), l
	}
	for rotation := range 70 {
		w, c, l := fresh(0)
		if got, err := c.Unwrap(w.message(l.part.Key, 0, 5, rotation, payload)); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("rotated by %d: %q, %v", rotation, got, err)
		}
	}
	w, c, l := fresh(askSequence)
	good := w.message(l.part.Key, 0, 1000, 0, payload)
	bad := map[string][]byte{
		"another number": w.message(l.part.Key, 0, 1001, 0, payload), "another key": w.message(types.EncryptionKey{KeyType: aes, KeyValue: make([]byte, 32)}, 0, 1000, 0, payload),
		"the server's": w.message(l.part.Key, byAcceptor, 1000, 0, payload), "by the server's key": w.message(l.part.Key, byAcceptorKey, 1000, 0, payload), "encrypted": w.message(l.part.Key, encrypted, 1000, 0, payload),
	}
	for i := range good {
		bad["cut off at "+string(rune('0'+i))] = good[:i]
		changed := bytes.Clone(good)
		changed[i] ^= 0x10
		bad["changed at "+string(rune('0'+i))] = changed
	}
	for what, token := range bad {
		if got, err := c.Unwrap(token); err == nil {
			t.Errorf("%s: %q", what, got)
		}
	}
	if got, err := c.Unwrap(good); err != nil || !bytes.Equal(got, payload) {
		t.Errorf("%q, %v", got, err)
	}
	// What was said in a context with a key of the server's is nothing in the next.
	w, c, l = fresh(askMutual)
	part := w.openReply(c.Reply(), l)
	said := w.message(part.Subkey, byAcceptorKey, 1000, 0, payload)
	if _, err := c.Unwrap(said); err != nil {
		t.Error(err)
	}
	next := w.accept(w.token(l))
	for what, token := range map[string][]byte{"of another context": said, "by the client's key": w.message(l.part.Key, 0, 1000, 0, payload)} {
		if _, err := next.Unwrap(token); err == nil {
			t.Errorf("a message %s is let in", what)
		}
	}
}

// A token that ends early, or has something after its end, is refused.
func TestTokensAreWhole(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	w := newWorld(t, aes)
	l := w.login(aes)
	for _, token := range [][]byte{w.token(l), w.request(l)} {
		for i := range token {
			if c, _, err := w.a.Accept(token[:i]); c != nil || err == nil {
				t.Errorf("cut off at %d of %d: let in", i, len(token))
			}
		}
		if c, _, err := w.a.Accept(append(bytes.Clone(token), 0)); c != nil || err == nil {
			t.Error("a byte after the end: let in")
		}
	}
	large := make([]byte, maxToken+1)
	w.refuse("too large", large, "more than")
	w.refuse("SPNEGO", append([]byte{0x60, 0x08}, 0x06, 0x06, 0x2b, 6, 1, 5, 5, 2), "malformed")
	w.refuse("a reply", wrapped(kindReply, w.request(l)), "malformed")
}

// A keytab with several keys opens tickets by each of them that the settings name.
func TestKeysOfTheService(t *testing.T) {
	const aes = etypeID.AES128_CTS_HMAC_SHA1_96
	w := newWorld(t, aes)
	w.add("kafka/host", "R", 4, aes)
	w.add("kafka/host2", "R", 3, aes)
	w.add("http/host", "R", 3, aes)
	w.save()
	if changed, err := w.a.refresh(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	for _, c := range []struct {
		principal string // setting
		service   string
		version   int
		ok        bool
	}{
		{"", "kafka/host", 3, true}, {"", "kafka/host", 4, true}, {"", "kafka/host", 0, true}, {"", "kafka/host2", 3, true}, {"", "http/host", 3, false}, {"", "kafka/host2", 4, false},
		{"kafka/host@R", "kafka/host", 4, true}, {"kafka/host@R", "kafka/host2", 3, false}, {"http/host@R", "http/host", 3, true}, {"http/host@R", "kafka/host", 3, false},
	} {
		w.a.cfg.Principal = c.principal
		k, err := parseKeytab(&w.a.cfg, w.content())
		if err != nil {
			t.Fatal(err)
		}
		w.a.keys.Store(k)
		l := w.login(aes)
		l.service, l.version = c.service, c.version
		if c.service == "kafka/host2" && c.version == 4 {
			l.key = l.part.Key
		}
		if _, _, err := w.a.Accept(w.token(l)); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func (w *world) content() []byte {
	w.Helper()
	b, err := os.ReadFile(w.file)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// What is wrong with a keytab is told when it is read, and once; the one from before stays in use.
func TestKeytabsAreChecked(t *testing.T) {
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	w := newWorld(t, aes)
	good := w.content()
	tab := func(entries ...string) []byte {
		w := &world{TB: t, tab: keytab.New()}
		for i := 0; i < len(entries); i += 2 {
			encryption := int32(aes)
			if entries[i] == "weak/host" {
				encryption = etypeID.RC4_HMAC
			}
			w.add(strings.Replace(entries[i], "weak", "kafka", 1), entries[i+1], 3, encryption)
		}
		b, err := w.tab.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		content []byte
		mode    os.FileMode
		why     string // "": it is fine
	}{
		{good, 0o640, ""}, {tab("kafka/host", "R", "kafka/two", "R"), 0o600, ""},
		{good, 0o644, "others can read"}, {[]byte{}, 0o600, "no keytab"}, {[]byte("nonsense"), 0o600, "no keytab"}, {good[:20], 0o600, "no keytab"}, {[]byte{5, 2, 0, 0, 0, 0}, 0o600, "it has no keys"},
		{tab("http/host", "R"), 0o600, "it has no key of kafka/..., only of http/host@R"}, {tab("weak/host", "R"), 0o600, "weak encryption types"}, {tab("kafka/host", "R", "kafka/host", "S"), 0o600, "set default_realm"},
		{make([]byte, maxKeytab+1), 0o600, "invalid"},
	} {
		_ = os.Remove(w.file)
		if err := os.WriteFile(w.file, c.content, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := w.a.refresh()
		if (err == nil) != (c.why == "") || err != nil && (!strings.Contains(err.Error(), c.why) || !strings.HasPrefix(err.Error(), "keytab_file: ") || !strings.Contains(err.Error(), w.file)) {
			t.Errorf("%.20q, %o: %v, want %q", c.content, c.mode, err, c.why)
		}
		if _, err := w.a.refresh(); err != nil {
			t.Errorf("told twice: %v", err)
		}
		w.accept(w.token(w.login(aes)))
	}
	if err := os.Remove(w.file); err != nil {
		t.Fatal(err)
	}
	if _, err := w.a.refresh(); err == nil {
		t.Error("a missing keytab is fine")
	}
	cfg := w.a.cfg
	if _, err := Open(cfg, Deps{FS: vfs.OS{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}); err == nil || !strings.Contains(err.Error(), w.file) {
		t.Error(err)
	}
}

func TestSettingsAreValidated(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		why    string // "": it is fine
	}{
		{func(*Config) {}, ""}, {func(c *Config) { *c = DefaultConfig() }, ""},
		{func(c *Config) { c.KeytabFile, c.Principal = "", "kafka/host@R" }, "keytab_file is empty"},
		{func(c *Config) { c.ServiceName = "" }, `service_name is ""`}, {func(c *Config) { c.ServiceName = "kafka/host" }, "service_name"},
		{func(c *Config) { c.Principal = "kafka/host@R" }, ""}, {func(c *Config) { c.Principal = "kafka/host" }, "must be service/host@REALM"}, {func(c *Config) { c.Principal = "kafka/@R" }, "principal"},
		{func(c *Config) { c.Principal = `kafka\/host@R` }, "principal"}, {func(c *Config) { c.Rules = []string{"RULE:[1:$2]"} }, "principal_to_local_rules"},
		{func(c *Config) { c.ClockSkew = -1 }, "clock_skew"}, {func(c *Config) { c.ClockSkew = 11 * time.Minute }, "clock_skew is 11m0s"},
	} {
		cfg := DefaultConfig()
		cfg.KeytabFile = "x"
		c.change(&cfg)
		if err := cfg.Validate(); (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%+v: %v, want %q", cfg, err, c.why)
		}
	}
}
