// Package certs makes the certificates of a cluster: an authority of its own, and what it
// vouches for. Keys are ECDSA on P-256, which every client of the last ten years knows and
// whose handshakes are cheap for brokers.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// Pair is a certificate and its private key, as PEM.
type Pair struct {
	Cert, Key []byte
}

// Kind is what a certificate may be used for.
type Kind int

// Kinds of certificates.
const (
	Client Kind = iota // of a client, which connects
	Agent              // of an agent, to which others connect and which connects to others
)

// Request is what a certificate says.
type Request struct {
	Name  string   // the common name: of a client, its principal
	Hosts []string // names and addresses at which an agent is reached
	Kind  Kind
	From  time.Time
	For   time.Duration
}

// backdated is how far the validity begins in the past, for clocks that go slow.
const backdated = 5 * time.Minute

// NewAuthority makes an authority. random is a source for keys.
func NewAuthority(random io.Reader, name string, from time.Time, valid time.Duration) (Pair, error) {
	key, template, err := begin(random, name, from, valid)
	if err != nil {
		return Pair{}, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.MaxPathLenZero = true // it vouches for no other authorities
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return sign(random, template, template, key, key)
}

// Authority is one that was read.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// ReadAuthority reads an authority.
func ReadAuthority(p Pair) (*Authority, error) {
	cert, err := First(p.Cert)
	if err != nil {
		return nil, err
	}
	if !cert.IsCA {
		return nil, fmt.Errorf("%s is no authority's certificate", cert.Subject)
	}
	block, _ := pem.Decode(p.Key)
	if block == nil {
		return nil, errors.New("there is no key in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if parsed, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
			return nil, fmt.Errorf("the key: %w", err)
		}
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key can't sign")
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(cert.PublicKey) {
		return nil, errors.New("the key is not the certificate's")
	}
	return &Authority{cert, key}, nil
}

// ErrOutlives: a certificate would be valid for longer than its authority.
var ErrOutlives = errors.New("it would be valid for longer than its authority")

// Issue makes a certificate that the authority vouches for.
func (a *Authority) Issue(random io.Reader, r Request) (Pair, error) {
	key, template, err := begin(random, r.Name, r.From, r.For)
	if err != nil {
		return Pair{}, err
	}
	if template.NotAfter.After(a.cert.NotAfter) {
		return Pair{}, fmt.Errorf("%w, which expires on %s", ErrOutlives, a.cert.NotAfter.Format(time.DateOnly))
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if r.Kind == Agent {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, h := range r.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return sign(random, template, a.cert, key, a.key)
}

// begin makes a key, and what all certificates have.
func begin(random io.Reader, name string, from time.Time, valid time.Duration) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	var serial [16]byte
	if _, err := io.ReadFull(random, serial[:]); err != nil {
		return nil, nil, fmt.Errorf("make a serial number: %w", err)
	}
	serial[0] &= 0x7f // RFC 5280: positive, at most 20 bytes
	return key, &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    from.Add(-backdated),
		NotAfter:     from.Add(valid),
	}, nil
}

func sign(random io.Reader, template, parent *x509.Certificate, key *ecdsa.PrivateKey, by crypto.Signer) (Pair, error) {
	der, err := x509.CreateCertificate(random, template, parent, key.Public(), by)
	if err != nil {
		return Pair{}, fmt.Errorf("sign: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})}, nil
}

// First returns the first certificate of a PEM file.
func First(content []byte) (*x509.Certificate, error) {
	all, err := All(content)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// All returns the certificates of a PEM file, one at least.
func All(content []byte) (all []*x509.Certificate, err error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in PEM")
	}
	return all, nil
}
