package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	kafkasasl "github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/term"

	"varve/auth/sasl"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// connection is how a command connects: with TLS or without, and as whom.
type connection struct {
	profile string // its name; "" is the current one
	quiet   bool   // don't ask for a password

	user, mechanism, passwordFile string
	password                      string // of a profile
	keytab                        string // file, for GSSAPI
	token                         bool   // user is the id of a delegation token, the password its HMAC
	tls                           bool
	ca, cert, key                 string // files
}

func (c *connection) add(f *pflag.FlagSet) {
	f.StringVar(&c.user, "user", "", "user to authenticate as, with SASL; may be left out with OAUTHBEARER, whose token names the user, and with GSSAPI, for the ticket that kinit got")
	f.StringVar(&c.mechanism, "sasl", "", "SASL mechanism: "+strings.Join(sasl.Mechanisms(), ", ")+" (default "+sasl.ScramSHA512+" if there is a user)")
	f.StringVar(&c.passwordFile, "password-file", "", "file with the user's password, or with the token of OAUTHBEARER, which others must not be able to read; - is standard input; without it the password is asked for on a terminal. A file with a token is read again for each new connection")
	f.StringVar(&c.keytab, "keytab", "", "file with the user's key, for GSSAPI without a password, which others must not be able to read")
	f.BoolVar(&c.token, "token", false, "log in by a delegation token: --user is its id, and the password its HMAC in base64 ('varve token create')")
	f.BoolVar(&c.tls, "tls", false, "use TLS; the other flags of TLS imply it")
	f.StringVar(&c.ca, "tls-ca", "", "PEM file of the authorities that may vouch for brokers (default: the system's)")
	f.StringVar(&c.cert, "tls-cert", "", "PEM file of the client's certificate")
	f.StringVar(&c.key, "tls-key", "", "PEM file of the certificate's private key")
}

func (c *connection) addProfile(f *pflag.FlagSet) {
	f.StringVar(&c.profile, "profile", "", "profile to use (environment: "+profileVariable+"; 'varve profile' keeps them)")
}

// chooses reports whether a profile was named for this command or this shell. The current one
// only stands for the addresses that it has.
func (c *connection) chooses() bool { return c.profile != "" || os.Getenv(profileVariable) != "" }

// connection returns what a profile says.
func (p *profile) connection() *connection {
	return &connection{user: p.User, mechanism: p.SASL, passwordFile: p.PasswordFile, password: p.Password, keytab: p.Keytab, token: p.Token, tls: p.TLS, ca: p.TLSCA, cert: p.TLSCert, key: p.TLSKey}
}

// over returns the connection with what it leaves open taken from a profile. The password of
// another user isn't, and a token or a password of Kerberos isn't taken for one of the cluster.
func (c connection) over(p *profile) connection {
	from := p.connection()
	alike := (c.mechanism == "" || c.byToken() == from.byToken() && c.byTicket() == from.byTicket()) && (!c.token || from.token)
	if alike && (c.user == "" || c.user == from.user) {
		if c.passwordFile == "" && c.keytab == "" {
			c.passwordFile, c.password, c.keytab = from.passwordFile, from.password, from.keytab
		}
		c.mechanism = cmp.Or(c.mechanism, from.mechanism)
		c.user, c.token = from.user, from.token
	}
	c.ca = cmp.Or(c.ca, from.ca)
	if c.cert == "" && c.key == "" {
		c.cert, c.key = from.cert, from.key
	}
	c.tls = c.tls || from.tls
	return c
}

// check returns what doesn't fit together.
func (c *connection) check() error {
	switch {
	case c.mechanism != "" && c.saslMechanism() == "":
		return fmt.Errorf("sasl is %q: must be %s", c.mechanism, strings.Join(sasl.Mechanisms(), ", "))
	case c.mechanism != "" && c.user == "" && !c.byToken() && !c.byTicket():
		return errors.New("sasl needs a user")
	case c.user == "" && !c.byToken() && (c.passwordFile != "" || c.password != ""):
		return errors.New("a password needs a user")
	case c.keytab != "" && (!c.byTicket() || c.user == ""):
		return errors.New("a keytab needs sasl GSSAPI and a user, whose key it has")
	case c.token && c.user == "":
		return errors.New("token needs a user, which is the token's id")
	case c.token && c.saslMechanism() != sasl.ScramSHA512 && c.saslMechanism() != sasl.ScramSHA256:
		return fmt.Errorf("a delegation token needs %s or %s", sasl.ScramSHA512, sasl.ScramSHA256)
	case (c.cert == "") != (c.key == ""):
		return errors.New("tls-cert and tls-key need each other")
	}
	return nil
}

// saslMechanism returns the mechanism in Kafka's spelling, "" without a user or if it isn't one.
func (c *connection) saslMechanism() string {
	if c.user != "" && c.mechanism == "" {
		return sasl.ScramSHA512
	}
	for _, m := range sasl.Mechanisms() {
		if strings.EqualFold(m, c.mechanism) {
			return m
		}
	}
	return ""
}

// byToken reports whether a token takes the password's place.
func (c *connection) byToken() bool { return c.saslMechanism() == sasl.OAuthBearer }

// byTicket reports whether a ticket of Kerberos takes the password's place, or the password is for
// getting one.
func (c *connection) byTicket() bool { return c.saslMechanism() == sasl.GSSAPI }

// encrypted reports whether connections use TLS.
func (c *connection) encrypted() bool { return c.tls || c.ca != "" || c.cert != "" }

// tlsConfig returns the client's side of TLS, nil without TLS.
func (c *connection) tlsConfig() (*tls.Config, error) {
	if !c.encrypted() {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ca != "" {
		config.RootCAs = x509.NewCertPool()
		if err := tlsfile.AddAuthorities(config.RootCAs, vfs.OS{}, c.ca); err != nil {
			return nil, usagef("tls-ca: %w", err)
		}
	}
	if c.cert != "" {
		pair, err := tlsfile.KeyPair(vfs.OS{}, c.cert, c.key)
		if err != nil {
			return nil, usagef("tls-cert, tls-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// sasl returns the mechanism with the user's password, nil without a user.
func (c *connection) sasl() (kafkasasl.Mechanism, error) {
	if c.byTicket() {
		return c.tickets()
	}
	if c.user == "" && !c.byToken() {
		return nil, nil
	}
	password, err := c.secret()
	if err != nil {
		return nil, err
	}
	if c.byToken() {
		return c.bearer(password), nil
	}
	switch c.saslMechanism() {
	case sasl.Plain:
		return plain.Auth{User: c.user, Pass: password}.AsMechanism(), nil
	case sasl.ScramSHA256:
		return scram.Auth{User: c.user, Pass: password, IsToken: c.token}.AsSha256Mechanism(), nil
	}
	return scram.Auth{User: c.user, Pass: password, IsToken: c.token}.AsSha512Mechanism(), nil
}

// maxPasswordFile bounds a file with a password, in bytes.
const maxPasswordFile = 64 << 10

// secret returns the password: of the file, the profile, or the terminal.
func (c *connection) secret() (string, error) {
	switch c.passwordFile {
	case "":
		if c.password != "" {
			return c.password, nil
		}
		password, err := c.asked()
		c.password = password // for the next time
		return password, err
	case "-":
		password, err := secretLine(os.Stdin)
		if err != nil {
			return "", fmt.Errorf("read the %s: %w", c.wanted(), err)
		}
		return password, nil
	}
	password, err := secretFile(c.passwordFile)
	if err != nil {
		return "", usagef("password-file: %w", err)
	}
	return password, nil
}

// secretFile returns the content of a file that others can't read, without the end of its line.
func secretFile(name string) (string, error) {
	content, err := readPrivate(name, maxPasswordFile)
	return strings.TrimRight(string(content), "\r\n"), err
}

// secretLine returns the first line of in.
func secretLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, maxPasswordFile)).ReadString('\n')
	if err == io.EOF {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

// asked returns the password that the user types.
func (c *connection) asked() (string, error) {
	if c.quiet || !term.IsTerminal(int(os.Stdin.Fd())) {
		if c.byToken() {
			return "", usagef("OAUTHBEARER needs a token: --password-file names a file that has it")
		}
		if c.byTicket() {
			return "", usagef("user %s needs a password, or a keytab: --password-file or --keytab names a file that has it; without --user it is the ticket that kinit got", c.user)
		}
		return "", usagef("user %s needs a password: --password-file names a file that has it", c.user)
	}
	wanted := c.wanted()
	fmt.Fprintf(os.Stderr, "%s%s: ", strings.ToUpper(wanted[:1]), wanted[1:])
	b, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", wanted, err)
	}
	return string(b), nil
}

// wanted names the secret that is needed.
func (c *connection) wanted() string {
	switch {
	case c.token:
		return "HMAC of token " + c.user
	case !c.byToken():
		return "password of " + c.user
	case c.user == "":
		return "token"
	}
	return "token of " + c.user
}

// secured dials with TLS over another dialer.
func secured(config *tls.Config, dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		own := config.Clone()
		if own.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			raw.Close()
			return nil, err
		}
		conn := tls.Client(raw, own)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, &handshakeError{addr, err}
		}
		return conn, nil
	}
}

// handshakeError is a failed handshake of TLS, in words that say what to do.
type handshakeError struct {
	addr string
	err  error
}

func (e *handshakeError) Unwrap() error { return e.err }

func (e *handshakeError) Error() string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	advice := ""
	switch {
	case errors.As(e.err, &unknown):
		advice = "the certificate is of an authority that isn't trusted here; --tls-ca names the file of those that are"
	case errors.As(e.err, &host):
		advice = "the certificate is for other names than the one that was asked for; use one of them, or give the broker a certificate with this name"
	case errors.As(e.err, &invalid) && invalid.Reason == x509.Expired:
		advice = "the certificate has expired, or a clock is wrong"
	case errors.As(e.err, &record), errors.Is(e.err, io.EOF):
		advice = "the port doesn't speak TLS, it seems: use another port, or connect without TLS"
	case errors.As(e.err, &alert):
		advice = "the broker refused; it may ask for a client's certificate (--tls-cert, --tls-key), or for another version of TLS"
	}
	if advice == "" {
		return fmt.Sprintf("TLS with %s: %v", e.addr, e.err)
	}
	return fmt.Sprintf("TLS with %s: %v: %s", e.addr, e.err, advice)
}

// tokenID is the form of the ids of delegation tokens.
var tokenID = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)

// whyRefused says why brokers may not let somebody in, which they don't say themselves.
func (c *connection) whyRefused() string {
	switch {
	case c.byTicket():
		return "the agent's log says why it doesn't take the ticket"
	case c.token:
		return "there is no such delegation token, or its HMAC is another one (--user, --password-file)"
	case !c.byToken() && tokenID.MatchString(c.user):
		return "the user doesn't exist, or the password is wrong; if " + c.user + " is the id of a delegation token, --token says so"
	}
	return "the user doesn't exist, or the password is wrong, or the user has none for this mechanism, or the token is not good (--user, --password-file, --sasl)"
}

// connectError says in plain words why a connection to brokers failed, and what to do.
func connectError(t *target, err error) error {
	brokers := strings.Join(t.seeds, ",")
	var handshake *handshakeError
	var first *kgo.ErrFirstReadEOF
	var ticket *ticketError
	switch {
	case errors.As(err, &ticket):
		return ticket
	case errors.As(err, new(usageError)):
		return err
	case errors.As(err, &handshake):
		return handshake
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Errorf("authentication with %s failed: %s: %w", brokers, t.conn.whyRefused(), err)
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Errorf("%s doesn't offer this SASL mechanism; %s: %w", brokers, sayOffered(t.offered()), err)
	case errors.Is(err, kerr.IllegalSaslState):
		return fmt.Errorf("%s doesn't authenticate with SASL; leave out --user, or name another port: %w", brokers, err)
	case strings.Contains(err.Error(), "tls: certificate required"):
		return fmt.Errorf("%s asks for a client's certificate (--tls-cert, --tls-key): %w", brokers, err)
	case errors.As(err, &first):
		wants := "the port may want TLS (--tls, --tls-ca), or a user (--user, --password-file)"
		switch {
		case t.tls != nil && t.sasl == nil:
			wants = "it may want a user (--user, --password-file), or not know whom the certificate is of; its log says why"
		case t.sasl != nil:
			wants = "its log says why"
		}
		return fmt.Errorf("%s closed the connection at once: %s: %w", brokers, wants, err)
	case strings.Contains(err.Error(), "tls alert record"):
		return fmt.Errorf("%s wants TLS; --tls and --tls-ca say how: %w", brokers, err)
	}
	return &unreachableError{brokers, err}
}
