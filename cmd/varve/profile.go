package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"varve/internal/settings"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// profileVariable names the profile to use where --profile does not.
const profileVariable = settings.EnvPrefix + "PROFILE"

// noProfileName chooses no profile, also not the current one.
const noProfileName = "none"

// maxProfiles bounds the file of profiles, in bytes.
const maxProfiles = 1 << 20

// profile is a cluster, and how to reach it.
type profile struct {
	Name         string   `yaml:"name" json:"name"`
	Brokers      []string `yaml:"brokers,omitempty" json:"brokers,omitempty"`
	HTTP         string   `yaml:"http,omitempty" json:"http,omitempty"`
	SASL         string   `yaml:"sasl,omitempty" json:"sasl,omitempty"`
	User         string   `yaml:"user,omitempty" json:"user,omitempty"`
	Password     string   `yaml:"password,omitempty" json:"-"`
	PasswordFile string   `yaml:"password_file,omitempty" json:"password_file,omitempty"`
	Keytab       string   `yaml:"keytab,omitempty" json:"keytab,omitempty"`
	Token        bool     `yaml:"token,omitempty" json:"token,omitempty"`
	TLS          bool     `yaml:"tls,omitempty" json:"tls,omitempty"`
	TLSCA        string   `yaml:"tls_ca,omitempty" json:"tls_ca,omitempty"`
	TLSCert      string   `yaml:"tls_cert,omitempty" json:"tls_cert,omitempty"`
	TLSKey       string   `yaml:"tls_key,omitempty" json:"tls_key,omitempty"`
}

// profiles is the content of a file of profiles.
type profiles struct {
	Current  string    `yaml:"current"`
	Profiles []profile `yaml:"profiles"`
}

// find returns the profile of a name, or nil.
func (p *profiles) find(name string) *profile {
	if i := slices.IndexFunc(p.Profiles, func(p profile) bool { return p.Name == name }); i >= 0 {
		return &p.Profiles[i]
	}
	return nil
}

// names returns the profiles' names.
func (p *profiles) names() (all []string) {
	for _, p := range p.Profiles {
		all = append(all, p.Name)
	}
	return all
}

// profilesFile returns where profiles are: $XDG_CONFIG_HOME/varve/config.yaml.
func profilesFile() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // the specification has others ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the file of profiles: %w", err)
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "varve", "config.yaml"), nil
}

// readProfiles reads a file of profiles; one that doesn't exist is empty.
func readProfiles(file string) (*profiles, error) {
	p := &profiles{}
	content, err := readBounded(file, maxProfiles)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = p.parse(content)
	}
	if err != nil {
		return nil, fmt.Errorf("profiles: %s: %w", file, err)
	}
	if p.secret() {
		if err := tlsfile.Private(vfs.OS{}, file); err != nil {
			return nil, fmt.Errorf("profiles: %w", err)
		}
	}
	return p, nil
}

// secret reports whether a profile has a password.
func (p *profiles) secret() bool {
	return slices.ContainsFunc(p.Profiles, func(p profile) bool { return p.Password != "" })
}

var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// parse reads and checks the content of a file of profiles.
func (p *profiles) parse(content []byte) error {
	d := yaml.NewDecoder(strings.NewReader(string(content)))
	d.KnownFields(true)
	if err := d.Decode(p); err != nil && len(strings.TrimSpace(string(content))) > 0 {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	seen := map[string]bool{}
	for i := range p.Profiles {
		n := p.Profiles[i].Name
		if err := checkProfileName(n); err != nil {
			return err
		}
		if seen[n] {
			return fmt.Errorf("two profiles are called %q", n)
		}
		seen[n] = true
		if err := p.Profiles[i].connection().check(); err != nil {
			return fmt.Errorf("profile %q: %w", n, err)
		}
	}
	if p.Current != "" && !seen[p.Current] {
		return fmt.Errorf("current is %q: there is no such profile", p.Current)
	}
	return nil
}

func checkProfileName(name string) error {
	if name == noProfileName {
		return fmt.Errorf("a profile is called %q: that name means to use none", name)
	}
	if !profileName.MatchString(name) {
		return fmt.Errorf("a profile is called %q: must be letters, digits, dots, dashes and underscores, at most 100", name)
	}
	return nil
}

// write replaces the file, which only its owner can read.
func (p *profiles) write(file string) error {
	content, err := yaml.Marshal(p)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err == nil {
		err = replaceFile(file, content)
	}
	if err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	return nil
}

// replaceFile writes a file that only its owner can read, whole or not at all.
func replaceFile(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".varve-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // if it wasn't renamed
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// chosenProfile returns the profile that a command uses: the one of --profile, of the
// environment, or the current one. Without any it is empty.
func chosenProfile(flag string) (*profile, error) {
	name := cmp.Or(flag, os.Getenv(profileVariable))
	if name == noProfileName {
		return &profile{}, nil
	}
	file, err := profilesFile()
	if strings.Contains(name, "/") { // a file of its own
		if _, err := os.Stat(name); err != nil {
			return nil, usagef("profiles: %w", err)
		}
		file, name, err = name, "", nil
	}
	if err != nil {
		if name != "" {
			return nil, err
		}
		return &profile{}, nil // a process without a home has no profiles
	}
	all, err := readProfiles(file)
	if err != nil {
		return nil, usageError{err}
	}
	if name = cmp.Or(name, all.Current); name == "" {
		return &profile{}, nil
	}
	p := all.find(name)
	if p == nil {
		return nil, notFoundError{fmt.Sprintf("there is no profile %q in %s; 'varve profile list' shows what there is", name, file)}
	}
	return p, nil
}

func profileCommand() *cobra.Command {
	c := parent("profile", "Keep clusters, and how to reach them, by name",
		profileCreateCommand(), profileUseCommand(), profileListCommand(), profileEditCommand(), profileDeleteCommand())
	c.Long = `Keep clusters, and how to reach them, by name: brokers, an agent's HTTP, TLS, user. Commands use
the profile that --profile or ` + profileVariable + ` names, or else the current one; flags and other environment
variables override what it says. The current one stands for its own addresses: with others
(--brokers, --http) nothing of it is used. --profile none uses none. A profile with a
slash in its name is a file of profiles, such as profile.yaml of 'varve dev --secure'; its current
one is used. Profiles are in $XDG_CONFIG_HOME/varve/config.yaml (by default
~/.config/varve/config.yaml), which only its owner can read.`
	return c
}

// changeProfiles reads the file of profiles, changes it and writes it.
func changeProfiles(change func(*profiles) error) error {
	file, err := profilesFile()
	if err != nil {
		return err
	}
	all, err := readProfiles(file)
	if err != nil {
		return usageError{err}
	}
	if err := change(all); err != nil {
		return err
	}
	return all.write(file)
}

// profileNames completes names of profiles in a shell.
func profileNames(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if file, err := profilesFile(); err == nil && len(args) == 0 {
		if all, err := readProfiles(file); err == nil {
			names = all.names()
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func noProfile(name string) error {
	return notFoundError{fmt.Sprintf("there is no profile %q; 'varve profile list' shows what there is", name)}
}
