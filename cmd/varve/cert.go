package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"varve/internal/certs"
	"varve/internal/chance"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// maxCertificates bounds a file of certificates or a key, in bytes.
const maxCertificates = 1 << 20

// authorityName is the file name of an authority: ca.crt and ca.key.
const authorityName = "ca"

func certCommand() *cobra.Command {
	c := parent("cert", "Make and show certificates for TLS", certCreateCACommand(), certCreateAgentCommand(), certCreateClientCommand(), certShowCommand())
	c.Long = `Make and show certificates for TLS: an authority of the cluster's own (create-ca), certificates
of agents, with which they serve clients and each other, and of clients. Files are NAME.crt and
NAME.key in --dir; only their owner can read keys. Keep ca.key where no agent is: who has it
can be anybody.

A company's own authority does as well: agents and clients take any PEM files.`
	return c
}

// certFiles are the flags of commands that write a certificate and its key.
type certFiles struct {
	dir     string
	days    int
	replace bool
}

func (f *certFiles) add(c *cobra.Command, days int) {
	s := c.Flags()
	s.StringVar(&f.dir, "dir", ".", "directory of the files")
	s.IntVar(&f.days, "days", days, "how many days it is valid")
	s.BoolVar(&f.replace, "replace", false, "replace files that exist")
}

func (f *certFiles) valid() (time.Duration, error) {
	if f.days < 1 || f.days > 36500 {
		return 0, usagef("--days is %d: must be 1 to 36500", f.days)
	}
	return time.Duration(f.days) * 24 * time.Hour, nil
}

// path returns a file's name.
func (f *certFiles) path(name, extension string) string {
	return filepath.Join(f.dir, name+extension)
}

// free fails if a file is there that would be replaced.
func (f *certFiles) free(name string) error {
	if name == "" || strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return usagef("name %q: must be a file's name, without slashes and without a dot at its start", name)
	}
	for _, file := range []string{f.path(name, ".crt"), f.path(name, ".key")} {
		if _, err := os.Lstat(file); err == nil && !f.replace {
			return usagef("%s exists; --replace replaces it", file)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// write writes a certificate and its key, the key first: who has a certificate can use it.
func (f *certFiles) write(name string, p certs.Pair) error {
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return err
	}
	if err := replaceFile(f.path(name, ".key"), p.Key); err != nil {
		return err
	}
	cert := f.path(name, ".crt")
	if err := replaceFile(cert, p.Cert); err != nil {
		return err
	}
	return os.Chmod(cert, 0o644) // #nosec G302 -- a certificate is public
}

// authority reads the authority of the directory.
func (f *certFiles) authority() (*certs.Authority, error) {
	var pair certs.Pair
	var err error
	key := f.path(authorityName, ".key")
	if pair.Cert, err = readBounded(f.path(authorityName, ".crt"), maxCertificates); err == nil {
		pair.Key, err = readBounded(key, maxCertificates)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFoundError{fmt.Sprintf("%v; 'varve cert create-ca' makes an authority", err)}
	}
	if err == nil {
		err = tlsfile.Private(vfs.OS{}, key)
	}
	var a *certs.Authority
	if err == nil {
		if a, err = certs.ReadAuthority(pair); err != nil {
			err = fmt.Errorf("the authority in %s: %w", f.dir, err)
		}
	}
	return a, err
}

// issue makes a certificate and writes it.
func (f *certFiles) issue(c *cobra.Command, r certs.Request) error {
	valid, err := f.valid()
	if err != nil {
		return err
	}
	if r.Name == authorityName {
		return usagef("%q is the authority's name", r.Name)
	}
	if err := f.free(r.Name); err != nil {
		return err
	}
	a, err := f.authority()
	if err != nil {
		return err
	}
	r.From, r.For = time.Now(), valid
	pair, err := a.Issue((*chance.Source)(nil), r)
	if errors.Is(err, certs.ErrOutlives) {
		return usagef("--days is %d: %w", f.days, err)
	}
	if err == nil {
		err = f.write(r.Name, pair)
	}
	if err == nil {
		fmt.Fprintf(c.OutOrStdout(), "wrote %s and %s\n", f.path(r.Name, ".crt"), f.path(r.Name, ".key"))
	}
	return err
}
