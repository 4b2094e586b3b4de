package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"varve/agent"
	"varve/doctor"
	"varve/internal/hostmem"
	"varve/internal/id"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// doctorPatience is the default of --timeout: a check of etcd may wait for several connections.
const doctorPatience = 20 * time.Second

// filesBeside is how many files an agent may have open besides its clients' connections.
const filesBeside = 1024

func doctorCommand() *cobra.Command {
	var f *configFlags
	var out jsonFlag
	var env environmentFile
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check this host and what an agent on it depends on, and say what to do",
		Long: `Check this host and what an agent on it depends on, before or while the agent runs: the settings,
the clock, the data directory's disk (file system, space, how long syncs take), limits of open
files and memory, the addresses that others are told, certificates, etcd (servers, alarms, space, how long
writes take), the bucket (permissions, conditional writes, parts, lifecycle rules, whose it is), the network to
the other agents, and their versions. Each line that is not ok says what to do.

It reads the same settings as 'varve agent'; run it on the agent's host, as the agent's user. It changes
nothing: it writes a temporary file of 32 MiB at most in data_dir, a temporary key in etcd and temporary objects in the
bucket, and removes them. While an agent runs, the measurements cost it a few seconds of its disk.

The exit code is 0 if nothing failed, warnings or not, 1 if something did, and 2 if the settings can't be read.`,
		Example: "  varve doctor --config varve.yaml\n  varve doctor --config varve.yaml --json | jq '.findings[] | select(.level != \"ok\")'",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return usagef("--timeout is %v: must be more than 0", timeout)
			}
			if err := env.load(f.file); err != nil {
				return err
			}
			cfg, err := f.read()
			if err != nil {
				return usageError{err}
			}
			r := examine(c.Context(), f, &cfg, timeout)
			if err := c.Context().Err(); err != nil {
				return err // what it didn't wait for is no finding
			}
			if err := out.write(c.OutOrStdout(), r, func(t *table) { printFindings(t, r) }); err != nil {
				return err
			}
			if r.Level == doctor.Failure {
				return quietError{exitFailed}
			}
			return nil
		},
	}
	f = addConfigFlags(c, agent.SharedConfig())
	f.check = func(cfg *agent.Config) error { return errors.Join(checkSettings(cfg), cfg.ValidateShared()) }
	env.add(c)
	out.add(c, doctor.Report{})
	c.Flags().DurationVar(&timeout, "timeout", doctorPatience, "how long each check may take; they run side by side")
	return c
}

// examine checks the settings, and then all that they name.
func examine(ctx context.Context, f *configFlags, cfg *agent.Config, patience time.Duration) *doctor.Report {
	r := doctor.Examine(ctx, subject(f, cfg), patience)
	rest := r.Findings
	r.Findings = []doctor.Finding{}
	r.Add(checkedSettings(f, cfg)...)
	r.Findings = append(r.Findings, rest...)
	return r
}

// checkedSettings says what 'varve agent' has against the settings.
func checkedSettings(f *configFlags, cfg *agent.Config) (found []doctor.Finding) {
	const name = "settings"
	for _, err := range each(f.check(cfg)) {
		found = append(found, doctor.Finding{Check: name, Level: doctor.Failure, Text: err.Error(), Do: "'varve agent' refuses it: change the setting (docs/config.md)"})
	}
	if len(found) == 0 {
		found = append(found, doctor.Finding{Check: name, Text: "'varve agent' accepts them"})
	}
	return found
}

// each returns the errors that one consists of.
func each(err error) (all []error) {
	var several interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &several):
		for _, e := range several.Unwrap() {
			all = append(all, each(e)...)
		}
		return all
	}
	return []error{err}
}

// subject is the agent that the settings describe.
func subject(f *configFlags, cfg *agent.Config) *doctor.Subject {
	j := cfg.Journal
	s := &doctor.Subject{
		Broker: id.Broker(cfg.BrokerID), Version: version(),
		DataDir: cfg.DataDir, JournalDir: cfg.JournalDir(), Direct: j.Direct,
		NeedBytes: j.HardBytes + j.KeepBytes + j.ReserveBytes, LeastBytes: j.ReserveBytes + 2*j.FileBytes,
		Memory: f.memory.Total, Files: max(0, cfg.Kafka.MaxConnections) + filesBeside,
		Etcd: cfg.Metadata, Store: cfg.Store,
		FS: vfs.OS{}, Host: hostmem.Read(readBounded), Dial: dial, Web: webOf(cfg), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	if cfg.Peer.Bind != "" && cfg.Peer.TLS.On() {
		s.Dial = dialPeers(cfg)
	}
	for _, x := range cfg.ShownCertificates() {
		s.Certificates = append(s.Certificates, doctor.Certificate(x))
	}
	for _, x := range cfg.AdvertisedAddresses() {
		s.Addresses = append(s.Addresses, doctor.Address(x))
	}
	return s
}

// dialPeers connects with other agents as the agent does, by mutual TLS.
func dialPeers(cfg *agent.Config) func(context.Context, string) (net.Conn, error) {
	t, err := cfg.Peer.TLS.Load(vfs.OS{})
	if err != nil {
		return func(context.Context, string) (net.Conn, error) { return nil, err }
	}
	return t.Dial(dial)
}

// webOf is a client for other agents' HTTP, which trusts the agents' own authority, too.
func webOf(cfg *agent.Config) *http.Client {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if file := cfg.Peer.TLS.CAFile; file != "" {
		_ = tlsfile.AddAuthorities(roots, vfs.OS{}, file) // the certificates' check tells
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}, Timeout: healthPatience}
}

func printFindings(t *table, r *doctor.Report) {
	count := map[doctor.Level]int{}
	before := ""
	for _, f := range r.Findings {
		count[f.Level]++
		check := f.Check
		if check == before {
			check = ""
		}
		before = f.Check
		t.row(f.Level, check, f.Text)
		if f.Do != "" && f.Level != doctor.OK {
			t.row("", "", "-> "+f.Do)
		}
	}
	t.gap()
	t.row(fmt.Sprintf("%d ok, %d warnings, %d failures", count[doctor.OK], count[doctor.Warning], count[doctor.Failure]))
}
