package kerberos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// maxToken bounds a client's token, in bytes.
const maxToken = 64 << 10

// Accept establishes a context by a client's token. After an error client is whom the ticket
// names, if that is known.
func (a *Acceptor) Accept(token []byte) (c *Context, client string, err error) {
	defer guard(&err, errToken)
	if len(token) > maxToken {
		return nil, "", fmt.Errorf("the token has %d bytes, more than %d", len(token), maxToken)
	}
	b, err := request(token)
	if err != nil {
		return nil, "", err
	}
	var req messages.APReq
	if req.Unmarshal(b) != nil || req.PVNO != iana.PVNO || req.Ticket.TktVNO != iana.PVNO {
		return nil, "", errToken
	}
	keys := a.keys.Load()
	ticket, err := keys.open(&req.Ticket)
	if err != nil {
		return nil, "", err
	}
	who := name{ticket.CName.NameString, ticket.CRealm}
	if !who.plain() {
		return nil, "", fmt.Errorf("the client's principal %.200q has more than %d parts, or can't be written without quoting", who.String(), maxComponents)
	}
	client = who.String()
	if err := a.checkTicket(ticket, req.Ticket.Realm); err != nil {
		return nil, client, err
	}
	proved, asks, err := a.checkProof(&req, ticket)
	if err != nil {
		return nil, client, err
	}
	user, err := keys.names.Name(who.components, who.realm)
	if err != nil {
		return nil, client, err
	}
	if asks&askMutual == 0 { // else a replay can't answer by the context's own key
		if early := a.opened.Sub(made(proved)); early > 0 && a.deps.Overheard {
			return nil, client, fmt.Errorf("the token is %v older than this agent's start, by the client's clock: it may have been used before. A client whose clock is behind is let in later, or with mutual authentication", early.Round(time.Millisecond))
		}
		if err := a.replays.note(digestOf(req.EncryptedAuthenticator.Cipher), digestOf([]byte(client)), a.deps.Now()); err != nil {
			return nil, client, err
		}
	}
	c, err = a.establish(proved, asks, ticket.Key)
	if err != nil {
		return nil, client, err
	}
	c.client, c.user = client, user
	return c, client, nil
}

// open decrypts a ticket.
func (k *keyring) open(t *messages.Ticket) (*messages.EncTicketPart, error) {
	of := name{t.SName.NameString, t.Realm}
	if !of.plain() {
		return nil, errToken
	}
	if _, ok := keyBytes[t.EncPart.EType]; !ok {
		return nil, fmt.Errorf("the ticket is of encryption type %d, which is weak or unknown: one of %s is needed", t.EncPart.EType, strongNames)
	}
	keys, err := k.candidates(of, t.EncPart.KVNO, t.EncPart.EType)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		b, err := decrypt(t.EncPart.Cipher, key, keyusage.KDC_REP_TICKET)
		if err != nil {
			continue
		}
		part := new(messages.EncTicketPart)
		if part.Unmarshal(b) != nil || !strong(part.Key) {
			return nil, errors.New("the ticket is malformed, or its session key is of a weak encryption type")
		}
		return part, nil
	}
	return nil, fmt.Errorf("the ticket is not by the key of %s in the keytab: it is another one at the KDC, or the ticket is forged", of)
}

var errDecrypt = errors.New("the message is not by the expected key")

// decrypt decrypts a message and checks its integrity.
func decrypt(cipher []byte, key types.EncryptionKey, usage uint32) (plain []byte, err error) {
	defer guard(&err, errDecrypt) // the library takes every message to be long enough
	if plain, err = crypto.DecryptMessage(cipher, key, usage); err != nil {
		return nil, errDecrypt
	}
	return plain, nil
}

// checkTicket reports why a ticket isn't good now.
func (a *Acceptor) checkTicket(t *messages.EncTicketPart, realm string) error {
	now, skew := a.deps.Now(), a.cfg.ClockSkew
	start := t.StartTime
	if start.IsZero() {
		start = t.AuthTime
	}
	switch {
	case types.IsFlagSet(&t.Flags, flags.Invalid), start.After(now.Add(skew)):
		return errors.New("the ticket is not good yet")
	case now.After(t.EndTime.Add(skew)):
		return fmt.Errorf("the ticket has expired %v ago", now.Sub(t.EndTime).Truncate(time.Second))
	case t.CRealm != realm && !types.IsFlagSet(&t.Flags, flags.TransitedPolicyChecked):
		return fmt.Errorf("the ticket is of realm %s, and the KDC has not checked the way from there", t.CRealm)
	}
	return nil
}

// What a client asks for of a context (RFC 4121, section 4.1.1.1).
const (
	askMutual   = 2
	askReplay   = 4
	askSequence = 8
)

// checkProof checks that the client has the key of its ticket, just now. It returns what the
// client asks for.
func (a *Acceptor) checkProof(req *messages.APReq, t *messages.EncTicketPart) (*types.Authenticator, uint32, error) {
	b, err := decrypt(req.EncryptedAuthenticator.Cipher, t.Key, keyusage.AP_REQ_AUTHENTICATOR)
	if err != nil {
		return nil, 0, errors.New("the authenticator is not by the ticket's key: the client doesn't have it, or the token was changed on its way")
	}
	p := new(types.Authenticator)
	if p.Unmarshal(b) != nil {
		return nil, 0, errors.New("the authenticator is malformed")
	}
	skew := a.deps.Now().Sub(made(p))
	switch {
	case p.AVNO != iana.PVNO || p.Cusec < 0 || p.Cusec > 999999:
		return nil, 0, errors.New("the authenticator is malformed")
	case p.CRealm != t.CRealm || !p.CName.Equal(t.CName):
		return nil, 0, errors.New("the authenticator is of another client than the ticket")
	case skew.Abs() > a.cfg.ClockSkew:
		return nil, 0, fmt.Errorf("the clocks of client and agent differ by %v, more than clock_skew", skew.Abs().Truncate(time.Second))
	case p.SubKey.KeyType != 0 && !strong(p.SubKey):
		return nil, 0, fmt.Errorf("the client's key is of encryption type %d, which is weak or unknown", p.SubKey.KeyType)
	}
	// The field holds no checksum, but the flags of what the client asks for. Channel bindings in it don't matter to an
	// acceptor that has none.
	sum := p.Cksum.Checksum
	if p.Cksum.CksumType != chksumtype.GSSAPI || len(sum) < 24 || binary.LittleEndian.Uint32(sum) != 16 {
		return nil, 0, errors.New("the authenticator has no checksum of GSS-API")
	}
	return p, binary.LittleEndian.Uint32(sum[20:]), nil
}

// made returns when a proof was made, by the client's clock.
func made(p *types.Authenticator) time.Time {
	return p.CTime.Add(time.Duration(p.Cusec) * time.Microsecond)
}

// establish makes the context, and the reply if the client asks for mutual authentication.
func (a *Acceptor) establish(p *types.Authenticator, asks uint32, session types.EncryptionKey) (*Context, error) {
	c := &Context{key: session, receive: uint64(uint32(p.SeqNumber)), ordered: asks&(askReplay|askSequence) != 0}
	if p.SubKey.KeyType != 0 {
		c.key = p.SubKey
	}
	c.send = c.receive
	if asks&askMutual == 0 {
		return c, nil
	}
	// With a key of the agent's own nothing that was said in another context is good in this one.
	own := types.EncryptionKey{KeyType: c.key.KeyType, KeyValue: make([]byte, keyBytes[c.key.KeyType])}
	var first [4]byte
	_, _ = a.deps.Random.Read(own.KeyValue) // never fails
	_, _ = a.deps.Random.Read(first[:])
	c.send = uint64(binary.BigEndian.Uint32(first[:]) & 0x3fffffff) // some take it for signed
	c.key, c.keyIsOurs = own, true
	var err error
	c.reply, err = reply(messages.EncAPRepPart{CTime: p.CTime.UTC(), Cusec: p.Cusec, Subkey: own, SequenceNumber: int64(c.send)}, session)
	return c, err
}

// reply returns the token with an AP-REP.
func reply(part messages.EncAPRepPart, session types.EncryptionKey) ([]byte, error) {
	b, err := asn1.Marshal(part)
	if err != nil {
		return nil, fmt.Errorf("encode the reply: %w", err)
	}
	encrypted, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(b, asnAppTag.EncAPRepPart), session, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, fmt.Errorf("encrypt the reply: %w", err)
	}
	b, err = asn1.Marshal(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP, EncPart: encrypted})
	if err != nil {
		return nil, fmt.Errorf("encode the reply: %w", err)
	}
	return wrapped(kindReply, asn1tools.AddASNAppTag(b, asnAppTag.APREP)), nil
}
