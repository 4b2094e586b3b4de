package main

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"varve/auth/principal"
	"varve/internal/certs"
)

// certRow is what is told of a certificate.
type certRow struct {
	File      string    `json:"file"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Hosts     []string  `json:"hosts,omitempty"`
	Authority bool      `json:"authority"`
	Server    bool      `json:"server"` // it may be used by a server
	Client    bool      `json:"client"` // it may be used by a client
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	Days      int       `json:"days"` // until it expires; below 0: it has
}

func certShowCommand() *cobra.Command {
	var out jsonFlag
	c := &cobra.Command{
		Use:     "show FILE...",
		Short:   "Show what certificates say, and when they expire",
		Long:    "Show what certificates say, and when they expire. The exit code is 1 if one isn't valid now.",
		Example: "  varve cert show certs/agent-1.crt",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			rows, bad := []certRow{}, false
			now := time.Now()
			for _, file := range args {
				content, err := readBounded(file, maxCertificates)
				if err != nil {
					return err
				}
				all, err := certs.All(content)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				for _, cert := range all {
					r, err := rowOf(file, cert, now)
					if err != nil {
						return fmt.Errorf("%s: %w", file, err)
					}
					bad = bad || r.Days < 0 || now.Before(cert.NotBefore)
					rows = append(rows, r)
				}
			}
			if err := out.write(c.OutOrStdout(), rows, func(t *table) { printCerts(t, rows) }); err != nil {
				return err
			}
			if bad {
				return quietError{exitFailed}
			}
			return nil
		},
	}
	out.add(c, []certRow{})
	return c
}

func rowOf(file string, c *x509.Certificate, now time.Time) (certRow, error) {
	subject, err := principal.Subject(c.RawSubject)
	if err != nil {
		return certRow{}, err
	}
	r := certRow{File: file, Subject: subject, Issuer: c.Issuer.String(), Hosts: c.DNSNames, Authority: c.IsCA, From: c.NotBefore, Until: c.NotAfter,
		Days: int(c.NotAfter.Sub(now).Hours()) / 24}
	if c.NotAfter.Before(now) {
		r.Days = min(r.Days, -1)
	}
	for _, ip := range c.IPAddresses {
		r.Hosts = append(r.Hosts, ip.String())
	}
	for _, u := range c.ExtKeyUsage {
		r.Server = r.Server || u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny
		r.Client = r.Client || u == x509.ExtKeyUsageClientAuth || u == x509.ExtKeyUsageAny
	}
	return r, nil
}

func printCerts(t *table, rows []certRow) {
	t.row("FILE", "SUBJECT", "FOR", "HOSTS", "ISSUER", "EXPIRES")
	for _, r := range rows {
		var uses []string
		for _, u := range []struct {
			on   bool
			name string
		}{{r.Authority, "authority"}, {r.Server, "server"}, {r.Client, "client"}} {
			if u.on {
				uses = append(uses, u.name)
			}
		}
		expires := fmt.Sprintf("%s (in %d days)", r.Until.Format(time.DateOnly), r.Days)
		if r.Days < 0 {
			expires = r.Until.Format(time.DateOnly) + " (expired)"
		}
		t.row(r.File, r.Subject, orDash(strings.Join(uses, ", ")), orDash(strings.Join(r.Hosts, ", ")), r.Issuer, expires)
	}
}
