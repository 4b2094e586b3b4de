package tlsfile

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"varve/internal/vfs"
)

// ServerFiles are the files of a server, and what it asks of clients.
type ServerFiles struct {
	Cert, Key  string
	ClientCA   string // "" is none
	ClientAuth tls.ClientAuthType
	MinVersion uint16
	// Verify, if not nil, refuses clients whose certificate is valid.
	Verify func(tls.ConnectionState) error
}

// Server is the server's side of TLS by files that may be replaced at any time. Config is for
// many callers, Refresh for one at a time.
type Server struct {
	fs    vfs.FS
	files ServerFiles
	now   atomic.Pointer[loaded]
	seen  [sha256.Size]byte // of the files' content, when Refresh last looked
}

// loaded is what was read from the files at one time.
type loaded struct {
	config *tls.Config
	leaf   *x509.Certificate
}

// OpenServer reads the files.
func OpenServer(fs vfs.FS, files ServerFiles) (*Server, error) {
	s := &Server{fs: fs, files: files}
	if _, err := s.Refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

// Refresh reads the files again. It reports whether there is something new, which new
// connections use from now on. After an error those that were read before stay in use. An error
// is returned once for each content of the files.
func (s *Server) Refresh() (changed bool, err error) {
	content, err := s.read()
	sum := sha256.Sum256(bytes.Join(content[:], []byte{0}))
	if err != nil {
		sum = sha256.Sum256([]byte(err.Error()))
	}
	if sum == s.seen {
		return false, nil
	}
	s.seen = sum
	var fresh *loaded
	if err == nil {
		fresh, err = s.parse(content)
	}
	if err != nil {
		return false, err
	}
	s.now.Store(fresh)
	return true, nil
}

// read reads certificate, key and authorities.
func (s *Server) read() (content [3][]byte, err error) {
	for i, name := range []string{s.files.Cert, s.files.Key, s.files.ClientCA} {
		if name == "" {
			continue
		}
		if content[i], err = vfs.ReadFile(s.fs, name, maxBytes); err != nil {
			return content, err
		}
	}
	return content, Private(s.fs, s.files.Key)
}

func (s *Server) parse(content [3][]byte) (*loaded, error) {
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", s.files.Cert, s.files.Key, err)
	}
	if pair.Leaf == nil {
		return nil, fmt.Errorf("%s holds no certificate", s.files.Cert)
	}
	c := &tls.Config{MinVersion: s.files.MinVersion, Certificates: []tls.Certificate{pair}, ClientAuth: s.files.ClientAuth, VerifyConnection: s.files.Verify,
		DynamicRecordSizingDisabled: true, // small records at first would help browsers, not clients that send batches
		// A session that is resumed proves what its certificate proved when it began.
		SessionTicketsDisabled: s.files.ClientAuth != tls.NoClientCert}
	if s.files.ClientCA != "" {
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(content[2]) {
			return nil, fmt.Errorf("%s holds no PEM certificate", s.files.ClientCA)
		}
	}
	return &loaded{c, pair.Leaf}, nil
}

// Config returns what connections are made with: each uses the files that were read last.
func (s *Server) Config() *tls.Config {
	c := s.now.Load().config.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.now.Load().config, nil }
	return c
}

// Client returns what a client of such servers uses: the certificate, and the authorities of
// clients as those of servers. It is the caller's.
func (s *Server) Client() *tls.Config {
	c := s.now.Load().config
	return &tls.Config{MinVersion: c.MinVersion, Certificates: c.Certificates, RootCAs: c.ClientCAs}
}

// Misfit returns why clients that reach the server at a host refuse its certificate, "" if they
// don't for what it says itself. An empty host fits.
func (s *Server) Misfit(host string) string {
	leaf := s.now.Load().leaf
	if len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return "it is not for servers"
	}
	if err := leaf.VerifyHostname(host); host != "" && err != nil {
		return "it is not for " + host
	}
	return ""
}

// Expires returns when the certificate expires.
func (s *Server) Expires() time.Time { return s.now.Load().leaf.NotAfter }

// ErrPublic: a file with a secret can be read by others.
var ErrPublic = errors.New("others can read or write it, and it holds a secret: chmod o-rwx,g-w takes these rights away; its group may read it")

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 64 << 10

// ReadSecret returns the content of a file that must be private, without the newline at its end.
func ReadSecret(fsys vfs.FS, name string) (string, error) {
	b, err := ReadPrivate(fsys, name, maxSecret)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return text, nil
}

// ReadPrivate reads a file that must be private. It doesn't wait for what a pipe may bring.
func ReadPrivate(fsys vfs.FS, name string, limit int64) ([]byte, error) {
	if mode, ok, err := vfs.Permissions(fsys, name); ok && err == nil && !mode.IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	b, err := vfs.ReadFile(fsys, name, limit)
	if err == nil {
		err = Private(fsys, name)
	}
	return b, err
}

// Private returns ErrPublic if others than a file's owner and group may do anything with it,
// or the group may write it.
func Private(fsys vfs.FS, name string) error {
	mode, ok, err := vfs.Permissions(fsys, name)
	if err != nil || !ok {
		return err
	}
	if mode.Perm()&0o027 != 0 {
		return fmt.Errorf("%s has mode %04o: %w", name, mode.Perm(), ErrPublic)
	}
	return nil
}
