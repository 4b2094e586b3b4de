package main

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"varve/agent"
	"varve/auth/sasl"
	"varve/internal/certs"
	"varve/internal/chance"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// securedDev is what 'varve dev --secure' keeps below the data directory: an authority, a
// certificate, a first user, and files with which clients connect.
type securedDev struct{ dir string }

// Files of securedDev.
const (
	agentName      = "agent"             // of the certificate
	firstUserFile  = "first-user"        // name:password
	tokenFile      = "token-secret"      // that makes delegation tokens
	javaFile       = "client.properties" // of Kafka's tools
	kcatFile       = "kcat.conf"         // of librdkafka
	profileFile    = "profile.yaml"      // of this program
	firstUserName  = "admin"
	secureListener = "SASL_SSL"
)

// renewBefore is how long before its end a certificate is made anew.
const renewBefore = 30 * 24 * time.Hour

func (d *securedDev) path(name string) string { return filepath.Join(d.dir, name) }

// prepare makes what is missing.
func (d *securedDev) prepare(hosts []string) error {
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return usagef("data_dir %s (--data): %w", d.dir, err)
	}
	f := certFiles{dir: d.dir, replace: true}
	_, err := os.Lstat(d.path(authorityName + ".key"))
	if errors.Is(err, fs.ErrNotExist) {
		var pair certs.Pair
		if pair, err = certs.NewAuthority((*chance.Source)(nil), "varve dev in "+d.dir, time.Now(), authorityDays*24*time.Hour); err == nil {
			err = f.write(authorityName, pair)
		}
	}
	if err != nil {
		return fmt.Errorf("--secure: make an authority: %w", err)
	}
	if !d.certified(hosts) {
		a, err := f.authority()
		var pair certs.Pair
		if err == nil {
			pair, err = a.Issue((*chance.Source)(nil), certs.Request{Name: agentName, Hosts: hosts, Kind: certs.Agent, From: time.Now(), For: certificateDays * 24 * time.Hour})
		}
		if err == nil {
			err = f.write(agentName, pair)
		}
		if err != nil {
			return fmt.Errorf("--secure: make a certificate: %w", err)
		}
	}
	if err := d.invent(firstUserFile, firstUserName+":"); err != nil {
		return fmt.Errorf("--secure: make the first user: %w", err)
	}
	if err := d.invent(tokenFile, ""); err != nil {
		return fmt.Errorf("--secure: make the secret of delegation tokens: %w", err)
	}
	return nil
}

// invent writes a file with a random secret after a prefix, if the file isn't there.
func (d *securedDev) invent(name, prefix string) error {
	if _, err := os.Lstat(d.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var secret [18]byte
	_, _ = (*chance.Source)(nil).Read(secret[:]) // never fails
	return replaceFile(d.path(name), []byte(prefix+base64.RawURLEncoding.EncodeToString(secret[:])+"\n"))
}

// certified reports whether the certificate that is there is good for these hosts, for a while.
func (d *securedDev) certified(hosts []string) bool {
	content, err := readBounded(d.path(agentName+".crt"), maxCertificates)
	if err != nil {
		return false
	}
	authority := x509.NewCertPool()
	if tlsfile.AddAuthorities(authority, vfs.OS{}, d.path(authorityName+".crt")) != nil {
		return false
	}
	if _, err := tlsfile.KeyPair(vfs.OS{}, d.path(agentName+".crt"), d.path(agentName+".key")); err != nil {
		return false
	}
	cert, err := certs.First(content)
	if err != nil || time.Until(cert.NotAfter) < renewBefore {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h string) bool {
		_, err := cert.Verify(x509.VerifyOptions{Roots: authority, DNSName: h})
		return err != nil
	})
}

// hostsOf returns the names and addresses by which an agent may be reached that listens at, or
// advertises, these addresses.
func hostsOf(addrs ...string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, addr := range addrs {
		host, _, err := net.SplitHostPort(addr)
		ip := net.ParseIP(host)
		switch {
		case err != nil: // the settings' check tells
		case host != "" && (ip == nil || !ip.IsUnspecified()):
			hosts = append(hosts, host)
		default: // all interfaces
			hosts = append(hosts, ownHosts()...)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// ownHosts returns the name of this host and its addresses, as far as they are known.
func ownHosts() (all []string) {
	if name := hostname(); name != "" {
		all = append(all, name)
	}
	addresses, _ := net.InterfaceAddrs() // without them clients use a name
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			all = append(all, n.IP.String())
		}
	}
	return all
}

// configure makes an agent use what was prepared. Of what the settings say already, nothing is
// loosened.
func (d *securedDev) configure(cfg *agent.Config) {
	l := &cfg.Listeners[0]
	l.Name, l.Protocol = secureListener, secureListener
	l.TLS.CertFile, l.TLS.KeyFile = d.path(agentName+".crt"), d.path(agentName+".key")
	if cfg.Security.BootstrapUser == "" && cfg.Security.BootstrapUserFile == "" {
		cfg.Security.BootstrapUserFile = d.path(firstUserFile)
	}
	if cfg.Security.Tokens.SecretFile == "" {
		cfg.Security.Tokens.SecretFile = d.path(tokenFile)
	}
	cfg.HTTPTLS.CertFile, cfg.HTTPTLS.KeyFile = l.TLS.CertFile, l.TLS.KeyFile
	cfg.Security.Authorizer = agent.AuthorizerACL
	if admin := "User:" + firstUserName; !slices.Contains(cfg.Security.SuperUsers, admin) {
		cfg.Security.SuperUsers = append(slices.Clone(cfg.Security.SuperUsers), admin)
	}
}

// fits reports what of the settings --secure would contradict.
func (d *securedDev) fits(cfg *agent.Config) error {
	switch l := cfg.Listeners; {
	case len(l) != 1 || l[0].Protocol != "" || l[0].TLS != (agent.ListenerTLS{}):
		return usagef("--secure makes a listener of its own: leave listeners and their TLS out of the settings, or set up all of it there (docs/security.md)")
	case cfg.HTTPTLS != (agent.ListenerTLS{}) || cfg.HTTPAuth != "":
		return usagef("--secure secures HTTP: leave http_tls and http_auth out of the settings")
	case cfg.Security.BootstrapUser != "" || cfg.Security.BootstrapUserFile != "":
		return usagef("--secure makes a first user of its own: leave VARVE_BOOTSTRAP_USER and security.bootstrap_user_file out")
	}
	return nil
}

// writeClients writes the files with which clients connect to addr.
func (d *securedDev) writeClients(addr, http string) error {
	content, err := readBounded(d.path(firstUserFile), maxPasswordFile)
	if err != nil {
		return err
	}
	name, password, ok := strings.Cut(strings.TrimSpace(string(content)), ":")
	if !ok {
		return fmt.Errorf("%s: must be name:password", d.path(firstUserFile))
	}
	ca := d.path(authorityName + ".crt")
	mechanism := sasl.ScramSHA512
	own, err := yaml.Marshal(profiles{Current: "dev", Profiles: []profile{{Name: "dev", Brokers: []string{addr}, HTTP: http, SASL: mechanism, User: name, Password: password, TLSCA: ca}}})
	if err != nil {
		return err
	}
	java := fmt.Sprintf(`security.protocol=SASL_SSL
sasl.mechanism=%s
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s";
ssl.truststore.type=PEM
ssl.truststore.location=%s
`, mechanism, name, password, strings.ReplaceAll(ca, `\`, `\\`))
	kcat := fmt.Sprintf("bootstrap.servers=%s\nsecurity.protocol=SASL_SSL\nsasl.mechanisms=%s\nsasl.username=%s\nsasl.password=%s\nssl.ca.location=%s\n", addr, mechanism, name, password, ca)
	return errors.Join(replaceFile(d.path(profileFile), own), replaceFile(d.path(javaFile), []byte(java)), replaceFile(d.path(kcatFile), []byte(kcat)))
}

// try logs in as the first user, whose password may have been changed.
func (d *securedDev) try(kafka string) error {
	content, err := readBounded(d.path(profileFile), maxProfiles)
	if err != nil {
		return err
	}
	var all profiles
	if err := all.parse(content); err != nil {
		return err
	}
	k := kafkaFlags{brokers: kafka, timeout: 10 * time.Second, conn: *all.Profiles[0].connection()}
	k.conn.profile, k.conn.quiet = noProfileName, true
	cl, err := k.client(context.Background())
	if err != nil {
		return err
	}
	cl.Close()
	return nil
}

// greet writes clients' files, and prints where to connect and what to try first.
func (d *securedDev) greet(out io.Writer, a *agent.Agent) error {
	kafka := reachable(a.Addresses()[secureListener])
	if err := d.writeClients(kafka, "https://"+a.HTTPAddress()); err != nil {
		return fmt.Errorf("--secure: write clients' files: %w", err)
	}
	if err := d.try(kafka); err != nil {
		fmt.Fprintf(out, `Varve serves Kafka on %s, with TLS and SASL, but %s can't log in with the password in
%s: %v.
If the password was changed, write the new one there and start again; if the cluster had other users before --secure,
use one of them, and 'varve user create %[2]s'.
`, kafka, firstUserName, d.path(firstUserFile), err)
		return nil
	}
	fmt.Fprintf(out, `Varve serves Kafka on %s, with TLS and SASL, and HTTPS on %s; data is in %s.
The first user, %s, may do everything; others may do what ACLs allow them.

Try, in another terminal:
  export %s=%s
  echo hello | %[7]s produce first
  %[7]s consume first
  %[7]s user create alice
  %[7]s acl create --allow-principal User:alice --operation read --topic first --group '*'
or other clients of Kafka:
  kcat -F %[8]s -C -t first -e
  kafka-topics.sh --bootstrap-server %[1]s --command-config %[9]s --list
These files have the password: only you can read them.
`, kafka, a.HTTPAddress(), d.dir, firstUserName, profileVariable, d.path(profileFile), os.Args[0], d.path(kcatFile), d.path(javaFile))
	return nil
}
