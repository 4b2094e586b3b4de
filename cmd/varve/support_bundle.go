package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"varve/agent"
	"varve/internal/say"
)

// supportSources says where a bundle comes from.
type supportSources struct {
	flags    *configFlags
	cfg      agent.Config
	unread   error // what is wrong with the settings
	http     string
	logs     []string
	unit     string
	logBytes int64
	doctor   bool
	away     error // why the agent doesn't answer; nil: it does
}

func supportBundleCommand() *cobra.Command {
	s := &supportSources{}
	var at httpFlag
	var env environmentFile
	var file, output string
	var logMB int64
	c := &cobra.Command{
		Use:   "bundle",
		Short: "Write what others need to help into one file, without secrets",
		Long: `Write a .tar.gz with what others need to find out what is wrong: the agent's settings, its log, the
metrics, health and state of all agents that answer, the heads of the journals on this disk, the stacks of the
agent's goroutines (with the setting pprof), and versions. Run it on an agent's host, as a user who may read its
files; what can't be gathered is left out, and manifest.json in the bundle says why.

It holds no records and no secrets: those of the settings, of the files that they name and of the environment are
taken out of everything, also out of logs. It does hold the names of topics, groups, users, hosts and clients.
Look through it before you give it away.

The exit code is 0 if the bundle was written and the agent at --http answered, and 4 if it was written without that
agent's answers.

The log is read from systemd's journal (--unit), or from the files that --log names. With --doctor the findings of
'varve doctor' are in it, too.`,
		Example: "  varve support bundle --config /etc/varve/varve.yaml\n  varve support bundle --config varve.yaml --log varve.log --output bundle.tar.gz",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if logMB < 0 || logMB > maxBundlePart>>20 {
				return usagef("--log-mb is %d: must be 0 to %d", logMB, maxBundlePart>>20)
			}
			if err := env.load(file); err != nil {
				return err
			}
			s.http, s.logBytes = at.addr, logMB<<20
			s.flags = &configFlags{file: file, defaults: agent.SharedConfig(), check: func(cfg *agent.Config) error { return errors.Join(checkSettings(cfg), cfg.ValidateShared()) }}
			s.cfg, s.unread = s.flags.read()
			now := time.Now().UTC()
			name := "varve-support-" + orDash(hostname()) + "-" + now.Format("20060102T150405Z")
			if output == "" {
				output = name + ".tar.gz"
			}
			b, err := s.save(c.Context(), output, name, now)
			if err != nil {
				return err
			}
			t := c.OutOrStdout()
			for _, p := range b.parts {
				if p.Problem != "" {
					fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", p.File, p.Problem)
				}
			}
			fmt.Fprintf(t, "%s: %s\n", output, say.Count(len(b.parts), "part"))
			if s.away != nil {
				return quietError{exitUnavailable}
			}
			return nil
		},
	}
	at.add(c)
	env.add(c)
	f := c.Flags()
	f.StringVar(&file, "config", "", "the agent's configuration file (environment: "+configVariable+"); its other variables count as well")
	f.StringVarP(&output, "output", "o", "", "file to write, which must not exist; empty: varve-support-HOST-TIME.tar.gz here")
	f.StringArrayVar(&s.logs, "log", nil, "file of the agent's log, instead of systemd's journal; may be repeated")
	f.StringVar(&s.unit, "unit", "varve", "unit of the agent in systemd, whose log is read")
	f.Int64Var(&logMB, "log-mb", 10, "how much of the end of each log, in MiB")
	f.BoolVar(&s.doctor, "doctor", false, "run 'varve doctor', too, which writes to the disk, etcd and the bucket and cleans up")
	return c
}

// save writes the bundle to a new file, which only its owner may read. A file that isn't whole is removed.
func (s *supportSources) save(ctx context.Context, output, name string, now time.Time) (b *bundle, err error) {
	out, err := os.OpenFile(output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, usagef("%s exists: name another file with --output", output)
	}
	if err != nil {
		return nil, err
	}
	b = newBundle(out, newRedactor(&s.cfg, os.Environ(), s.raw()), name, now)
	err = errors.Join(s.gather(ctx, b), b.close(), out.Close())
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		os.Remove(output)
		return nil, err
	}
	return b, nil
}

// raw returns the configuration file if it could not be read as one.
func (s *supportSources) raw() []byte {
	name := cmp.Or(s.flags.file, os.Getenv(configVariable))
	if s.unread == nil || name == "" {
		return nil
	}
	b, err := readBounded(name, maxRaw)
	if err != nil {
		return nil // then nobody has its secrets
	}
	return b
}

// maxRaw bounds a configuration file.
const maxRaw = 1 << 20

// gather adds all parts.
func (s *supportSources) gather(ctx context.Context, b *bundle) error {
	err := errors.Join(
		b.add(ctx, "version.json", "this program", func(context.Context) ([]byte, error) { return jsonPart(build(), nil) }),
		b.add(ctx, "config.yaml", "the settings, without secrets", func(context.Context) ([]byte, error) { return s.settings() }),
		b.add(ctx, "environment.txt", "names of variables that are set", func(context.Context) ([]byte, error) { return []byte(variables(os.Environ())), nil }),
		b.add(ctx, "journals.json", "headers of the journals' files in data_dir", func(context.Context) ([]byte, error) { return journalHeads(s.cfg.JournalDir()) }),
	)
	for _, p := range []struct{ file, what, path string }{
		{"agent/readyz.txt", "whether the agent serves", "/readyz"},
		{"agent/goroutines.txt", "stacks of its goroutines; needs the setting pprof", "/debug/pprof/goroutine?debug=1"},
		{"cluster/health.json", "how well the cluster is", "/v1/health"},
		{"cluster/cluster.json", "the cluster as this agent sees it", "/v1/cluster"},
		{"agent/status.json", "its state", "/v1/status"},
		{"agent/journals.json", "how its journal is kept", "/v1/journals"},
		{"agent/metrics.txt", "its metrics", "/metrics"},
	} {
		err = errors.Join(err, b.add(ctx, p.file, p.what, func(ctx context.Context) ([]byte, error) { return s.page(ctx, p.path) }))
	}
	return errors.Join(err, s.others(ctx, b), s.log(ctx, b), s.examine(ctx, b))
}

// page asks the agent for a page, unless it didn't answer before.
func (s *supportSources) page(ctx context.Context, path string) ([]byte, error) {
	if s.away != nil {
		return nil, s.away
	}
	b, err := webPage(ctx, s.http, path)
	if errors.As(err, new(*awayError)) {
		s.away = err
	}
	return b, err
}

// settings returns what 'varve config' prints, and what is wrong with it.
func (s *supportSources) settings() ([]byte, error) {
	var buf bytes.Buffer
	s.flags.printSettings(&buf, &s.cfg)
	err := s.unread
	if err == nil {
		err = s.flags.check(&s.cfg)
	}
	if err != nil {
		err = fmt.Errorf("'varve agent' refuses these settings: %w", err)
	}
	return buf.Bytes(), err
}

// others adds what the other agents of the cluster tell.
func (s *supportSources) others(ctx context.Context, b *bundle) (err error) {
	if s.away != nil {
		return nil
	}
	all := others(ctx, s.http)
	for _, broker := range slices.Sorted(maps.Keys(all)) {
		for _, p := range []struct{ file, what, path string }{{"status.json", "state", "/v1/status"}, {"journals.json", "journal", "/v1/journals"}, {"metrics.txt", "metrics", "/metrics"}, {"readyz.txt", "readiness", "/readyz"}} {
			err = errors.Join(err, b.add(ctx, fmt.Sprintf("agents/%d/%s", broker, p.file), fmt.Sprintf("%s of agent %d", p.what, broker), func(ctx context.Context) ([]byte, error) {
				ctx, cancel := context.WithTimeout(ctx, healthPatience)
				defer cancel()
				return webPage(ctx, all[broker], p.path)
			}))
		}
	}
	return err
}

// log adds the end of the agent's log.
func (s *supportSources) log(ctx context.Context, b *bundle) (err error) {
	if s.logBytes == 0 {
		return nil
	}
	for i, name := range s.logs {
		err = errors.Join(err, b.add(ctx, fmt.Sprintf("logs/%d-%s", i+1, filepath.Base(name)), "the end of the log", func(context.Context) ([]byte, error) { return tailOf(name, s.logBytes) }))
	}
	if len(s.logs) > 0 {
		return err
	}
	return b.add(ctx, "logs/journald.txt", "the end of the log of unit "+s.unit, func(ctx context.Context) ([]byte, error) { return journald(ctx, s.unit, s.logBytes) })
}

// examine adds the doctor's findings, if they are wanted.
func (s *supportSources) examine(ctx context.Context, b *bundle) error {
	if !s.doctor {
		return nil
	}
	return b.add(ctx, "doctor.json", "findings of 'varve doctor'", func(ctx context.Context) ([]byte, error) { return doctored(ctx, s) })
}
