package principal

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
)

// keywords are the attribute types that RFC 2253 has names for. Java prints others by number.
var keywords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// attribute is one attribute of a subject, its value still encoded.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// Subject returns an encoded subject (x509.Certificate's RawSubject) as RFC 2253 writes it, the
// most specific part first: what Java's X500Principal.getName returns, and so Kafka sees.
func Subject(raw []byte) (string, error) {
	var parts []asn1.RawValue
	if rest, err := asn1.Unmarshal(raw, &parts); err != nil || len(rest) > 0 {
		return "", fmt.Errorf("the certificate's subject is malformed: %v", err)
	}
	texts := make([]string, len(parts))
	for i, part := range parts {
		var set []attribute
		if rest, err := asn1.UnmarshalWithParams(part.FullBytes, &set, "set"); err != nil || len(rest) > 0 {
			return "", fmt.Errorf("the certificate's subject is malformed: %v", err)
		}
		several := make([]string, len(set))
		for j, a := range set {
			several[j] = a.text()
		}
		texts[len(parts)-1-i] = strings.Join(several, "+")
	}
	return strings.Join(texts, ","), nil
}

func (a attribute) text() string {
	keyword, named := keywords[a.Type.String()]
	value, readable := stringOf(a.Value)
	if !named || !readable {
		if !named {
			keyword = a.Type.String()
		}
		return keyword + "=#" + hex.EncodeToString(a.Value.FullBytes)
	}
	return keyword + "=" + escape(value)
}

// tagTeletex is ASN.1's number of TeletexString, which the library has no name for.
const tagTeletex = 20

// stringOf returns the text of a value that Java prints as text. As Java, it takes all of them
// for UTF-8.
func stringOf(v asn1.RawValue) (string, bool) {
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagGeneralString, asn1.TagBMPString, tagTeletex:
		return string(v.Bytes), v.Class == asn1.ClassUniversal
	}
	return "", false
}

// escape writes a value as RFC 2253 does: special characters after a backslash, and spaces at
// its ends.
func escape(value string) string {
	var b strings.Builder
	for _, r := range value {
		switch {
		case strings.ContainsRune(`,=+<>#;"\`, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == 0:
			b.WriteString(`\00`)
		default:
			b.WriteRune(r)
		}
	}
	text := b.String()
	lead := len(text) - len(strings.TrimLeft(text, " \r"))
	trail := len(strings.TrimRight(text, " \r"))
	if lead == 0 && trail == len(text) {
		return text
	}
	b.Reset()
	for i := range len(text) {
		if i < lead || i >= trail {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Alternatives returns the subject alternative names of a certificate, each with its kind:
// URI:, DNS:, EMAIL: and IP:, in this order.
func Alternatives(c *x509.Certificate) (all []string) {
	for _, u := range c.URIs {
		all = append(all, "URI:"+u.String())
	}
	for _, n := range c.DNSNames {
		all = append(all, "DNS:"+n)
	}
	for _, a := range c.EmailAddresses {
		all = append(all, "EMAIL:"+a)
	}
	for _, ip := range c.IPAddresses {
		all = append(all, "IP:"+ip.String())
	}
	return all
}
