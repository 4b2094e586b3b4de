package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"varve/agent"
	"varve/internal/settings"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/s3store"
)

// configVariable names the configuration file where no flag does.
const configVariable = settings.EnvPrefix + "CONFIG"

// cacheVariable is the tests', not an agent's.
const cacheVariable = settings.EnvPrefix + "TEST_CACHE"

// configFlags are the flags of commands that read an agent's configuration.
type configFlags struct {
	file  string
	cfg   agent.Config
	flags *settings.Flags
}

func addConfigFlags(c *cobra.Command) *configFlags {
	f := &configFlags{cfg: agent.DefaultConfig()}
	c.Flags().StringVar(&f.file, "config", "", "YAML file of settings (environment: "+configVariable+")")
	f.flags = settings.AddFlags(c.Flags(), &f.cfg)
	return f
}

// load reads the file, then the environment, then the flags, and checks it all.
func (f *configFlags) load() (agent.Config, error) {
	if err := f.read(); err != nil {
		return f.cfg, err
	}
	if err := f.flags.Apply(&f.cfg); err != nil {
		return f.cfg, usageError{err}
	}
	if err := f.cfg.Validate(); err != nil {
		return f.cfg, usageError{err}
	}
	return f.cfg, nil
}

// read fills the configuration from the file and the environment.
func (f *configFlags) read() error {
	name := f.file
	if name == "" {
		name = os.Getenv(configVariable)
	}
	if name != "" {
		content, err := os.ReadFile(name)
		if err != nil {
			return usagef("configuration: %w", err)
		}
		if err := settings.FromYAML(&f.cfg, name, content); err != nil {
			return usageError{err}
		}
	}
	if err := settings.FromEnv(&f.cfg, os.Environ(), configVariable, cacheVariable, brokersVariable); err != nil {
		return usageError{err}
	}
	return nil
}

func agentCommand() *cobra.Command {
	var f *configFlags
	c := &cobra.Command{
		Use:   "agent",
		Short: "Run a broker against an etcd and an object store",
		Long: `Run one agent of a cluster. Settings come from the file, then from environment
variables, then from flags; each overrides the one before. See 'varve config'.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.load()
			if err != nil {
				return err
			}
			if err := cfg.ValidateStores(); err != nil {
				return usageError{err}
			}
			return runAgent(c.Context(), cfg)
		},
	}
	f = addConfigFlags(c)
	return c
}

func configCommand() *cobra.Command {
	var f *configFlags
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the settings that an agent would have, secrets hidden",
		Long: `Print the settings that an agent would have, secrets hidden. Settings come from the file,
then from environment variables, then from flags; each overrides the one before. When
'varve agent' would refuse them the exit code is 2, and standard error says why.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.load()
			if err != nil {
				return err
			}
			for _, s := range settings.Of(&cfg) {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", s.Path, s)
			}
			if err := cfg.ValidateStores(); err != nil {
				return usagef("'varve agent' refuses these settings: %w", err)
			}
			return nil
		},
	}
	f = addConfigFlags(c)
	return c
}

func runAgent(ctx context.Context, cfg agent.Config) error {
	tuneMemory()
	log, err := newLogger(os.Stderr, cfg.Log)
	if err != nil {
		return usageError{err}
	}
	registry := newRegistry()
	meta, err := metadata.Open(ctx, cfg.Metadata, log.With("part", "metadata"), registry)
	if err != nil {
		return fmt.Errorf("connect to etcd: %w", err)
	}
	defer meta.Close()
	objects, err := s3store.Open(ctx, cfg.Store, log.With("part", "store"), registry)
	if err != nil {
		return fmt.Errorf("open the object store: %w", err)
	}
	defer objects.Close()
	a, err := agent.New(cfg, agent.Deps{FS: vfs.OS{}, Meta: meta, Objects: objects, Log: log, Registry: registry, Listen: net.Listen, Dial: dial, Version: version(), Exit: exit})
	if err != nil {
		return usageError{err}
	}
	err = a.Run(ctx)
	if agent.IsReplaced(err) && ctx.Err() == nil {
		return beginAgain(log, err)
	}
	return err
}

func dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// beginAgain replaces this process by a new run of the same program: an agent that
// was taken for dead comes back as another incarnation, with nothing of the old one.
func beginAgain(log *slog.Logger, why error) error {
	program, err := os.Executable()
	if err != nil {
		return errors.Join(why, err)
	}
	log.Warn("beginning again as a new incarnation", "why", why)
	return errors.Join(why, syscall.Exec(program, os.Args, os.Environ()))
}

// readableDuration writes durations as text does ("1.5s"): JSON has them as nanoseconds.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// newLogger writes structured lines as the configuration says.
func newLogger(w io.Writer, cfg agent.LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		return nil, fmt.Errorf("log.level is %q: must be debug, info, warn or error", cfg.Level)
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		o.ReplaceAttr = readableDuration
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
