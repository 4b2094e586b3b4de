// Package tlsfile reads what TLS needs from PEM files of bounded size, and secrets from files
// that others can't read. Errors name the file; the caller adds the setting.
package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"varve/internal/vfs"
)

// maxBytes bounds a file.
const maxBytes = 1 << 20

// AddAuthorities adds the certificates in a file to pool.
func AddAuthorities(pool *x509.CertPool, fs vfs.FS, file string) error {
	pem, err := vfs.ReadFile(fs, file, maxBytes)
	if err != nil {
		return err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no PEM certificate", file)
	}
	return nil
}

// KeyPair reads a certificate, with those that link it to its authority, and its key,
// which must be private.
func KeyPair(fs vfs.FS, certFile, keyFile string) (tls.Certificate, error) {
	var pem [2][]byte
	for i, file := range []string{certFile, keyFile} {
		var err error
		if pem[i], err = vfs.ReadFile(fs, file, maxBytes); err != nil {
			return tls.Certificate{}, err
		}
	}
	if err := Private(fs, keyFile); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(pem[0], pem[1])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	return pair, nil
}
