package kerberos

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// A token of GSS-API by Kerberos (RFC 2743, section 3.1; RFC 4121, section 4.1), lengths as in DER:
//
//	60 length | 06 09 2a 86 48 86 f7 12 01 02 02 | kind (2 bytes) | message of RFC 4120
//
// Some clients send the message alone.

// mechanism is the object identifier of Kerberos, 1.2.840.113554.1.2.2, in DER.
var mechanism = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}

// The kinds of messages.
const (
	kindRequest = 0x0100 // AP-REQ
	kindReply   = 0x0200 // AP-REP
)

// The first bytes of what is in tokens.
const (
	tagToken   = 0x60 // [APPLICATION 0]
	tagRequest = 0x6e // [APPLICATION 14], AP-REQ
)

var errToken = errors.New("the token is malformed: wanted is one of Kerberos 5 that begins a context (AP-REQ)")

// request returns the AP-REQ in a token.
func request(token []byte) ([]byte, error) {
	if _, ok := element(token, tagRequest); ok {
		return token, nil
	}
	content, ok := element(token, tagToken)
	if !ok {
		return nil, errToken
	}
	rest, ok := bytes.CutPrefix(content, mechanism)
	if !ok || len(rest) < 2 || binary.BigEndian.Uint16(rest) != kindRequest {
		return nil, errToken
	}
	if _, ok := element(rest[2:], tagRequest); !ok {
		return nil, errToken
	}
	return rest[2:], nil
}

// element returns the content of an element of DER that is all of b.
func element(b []byte, tag byte) ([]byte, bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, false
	}
	n, b := int(b[1]), b[2:]
	if n >= 0x80 {
		more := n - 0x80
		if more < 1 || more > 3 || len(b) < more {
			return nil, false
		}
		n = 0
		for _, digit := range b[:more] {
			n = n<<8 | int(digit)
		}
		b = b[more:]
	}
	return b, n == len(b)
}

// wrapped returns a token with a message.
func wrapped(kind uint16, message []byte) []byte {
	n := len(mechanism) + 2 + len(message)
	b := []byte{tagToken}
	switch {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n)) // an AP-REP has some 150 bytes
	}
	b = append(b, mechanism...)
	b = binary.BigEndian.AppendUint16(b, kind)
	return append(b, message...)
}
