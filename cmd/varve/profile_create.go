package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
)

func profileCreateCommand() *cobra.Command {
	var k kafkaFlags
	var http string
	var replace, use bool
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a profile from the flags given",
		Long: `Create a profile from the flags given. The first one becomes the current one. Names of files are
kept as absolute paths, and passwords stay in their files: profiles name them.`,
		Example: "  varve profile create prod --brokers b1:9093,b2:9093 --tls-ca ca.crt --user alice --password-file alice.secret --use",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := newProfile(args[0], &k, http)
			if err != nil {
				return usageError{err}
			}
			err = changeProfiles(func(all *profiles) error {
				if old := all.find(p.Name); old != nil && !replace {
					return usagef("there is a profile %q already; --replace replaces it", p.Name)
				}
				all.Profiles = slices.DeleteFunc(all.Profiles, func(o profile) bool { return o.Name == p.Name })
				all.Profiles = append(all.Profiles, *p)
				if use || all.Current == "" {
					all.Current = p.Name
				}
				return nil
			})
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "profile %s was created\n", p.Name)
			}
			return err
		},
	}
	f := c.Flags()
	k.addBrokers(f)
	k.conn.add(f)
	f.StringVar(&http, "http", "", "host:port of any agent's HTTP, after https:// with TLS")
	f.BoolVar(&replace, "replace", false, "replace a profile of that name")
	f.BoolVar(&use, "use", false, "make it the current profile")
	return c
}

// newProfile returns what the flags say, and nothing from the environment.
func newProfile(name string, k *kafkaFlags, http string) (*profile, error) {
	if err := checkProfileName(name); err != nil {
		return nil, err
	}
	if err := k.conn.check(); err != nil {
		return nil, err
	}
	p := &profile{Name: name, HTTP: http, SASL: k.conn.mechanism, User: k.conn.user, PasswordFile: k.conn.passwordFile, Keytab: k.conn.keytab, Token: k.conn.token,
		TLS: k.conn.tls, TLSCA: k.conn.ca, TLSCert: k.conn.cert, TLSKey: k.conn.key}
	if p.PasswordFile == "-" {
		return nil, fmt.Errorf("--password-file is standard input: a profile needs the name of a file")
	}
	if k.brokers != "" {
		seeds, err := brokerAddresses(k.brokers)
		if err != nil {
			return nil, err
		}
		p.Brokers = seeds
	}
	for _, file := range []*string{&p.PasswordFile, &p.Keytab, &p.TLSCA, &p.TLSCert, &p.TLSKey} {
		if *file != "" {
			var err error
			if *file, err = filepath.Abs(*file); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}
