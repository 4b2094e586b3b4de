package kerberos

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Context is what client and agent have agreed on. One goroutine uses it.
type Context struct {
	client, user  string
	reply         []byte // nil: the client wants none
	key           types.EncryptionKey
	keyIsOurs     bool   // not the client's
	send, receive uint64 // sequence numbers of the next messages
	ordered       bool   // the client's messages have theirs
}

// Reply returns the token that the client waits for, nil if it waits for none.
func (c *Context) Reply() []byte { return c.reply }

// Names returns by which names the client may call itself, its principal first, and the user's
// name here.
func (c *Context) Names() (client []string, user string) {
	return []string{c.client, c.user}, c.user
}

// A message that isn't encrypted (RFC 4121, section 4.2.6.2), numbers in big-endian order:
//
//	05 04 | flags | ff | length of the checksum (2 bytes) | rotation (2) | sequence number (8) | message | checksum
//
// What follows the sequence number is rotated to the right. The checksum covers the message, and then
// the header with zeros for its own length and the rotation.

// The flags of a message.
const (
	byAcceptor    = 1
	encrypted     = 2
	byAcceptorKey = 4
)

// Wrap returns a message with a checksum by which the client knows that it is the agent's.
func (c *Context) Wrap(message []byte) (token []byte, err error) {
	t := gssapi.WrapToken{Flags: byAcceptor, SndSeqNum: c.send, Payload: message}
	if c.keyIsOurs {
		t.Flags |= byAcceptorKey
	}
	if err := t.SetCheckSum(c.key, keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil {
		return nil, err
	}
	c.send++
	t.EC = uint16(len(t.CheckSum))
	return t.Marshal()
}

// Unwrap returns the client's message.
func (c *Context) Unwrap(token []byte) (message []byte, err error) {
	errMessage := errors.New("the client's message is malformed")
	defer guard(&err, errMessage)
	if len(token) < gssapi.HdrLen || len(token) > maxToken || token[0] != 5 || token[1] != 4 || token[3] != gssapi.FillerByte {
		return nil, errMessage
	}
	flags := token[2]
	want := byte(0)
	if c.keyIsOurs {
		want = byAcceptorKey
	}
	switch {
	case flags&encrypted != 0:
		return nil, errors.New("the client's message is encrypted, which nobody asked for")
	case flags != want:
		return nil, errors.New("the client's message is by the key of another context")
	}
	body := slices.Clone(token[gssapi.HdrLen:])
	size, rotation := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	if size > len(body) {
		return nil, errMessage
	}
	if len(body) > 0 {
		rotation %= len(body)
		body = append(body[rotation:], body[:rotation]...)
	}
	t := gssapi.WrapToken{Flags: flags, SndSeqNum: binary.BigEndian.Uint64(token[8:]), Payload: body[:len(body)-size], CheckSum: body[len(body)-size:]}
	if ok, err := t.Verify(c.key, keyusage.GSSAPI_INITIATOR_SEAL); err != nil || !ok { // the error has the right checksum
		return nil, errors.New("the checksum of the client's message is wrong")
	}
	if c.ordered && t.SndSeqNum != c.receive {
		return nil, errors.New("the client's message has another sequence number than the next one")
	}
	c.receive++
	return t.Payload, nil
}
