package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"varve/agent"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/s3store"
)

func agentCommand() *cobra.Command {
	var f *configFlags
	var older bool
	c := &cobra.Command{
		Use:   "agent",
		Short: "Run an agent against an etcd and a bucket",
		Long: `Run one agent of a cluster. Settings come from the file, then from environment
variables, then from flags; each overrides the one before. See 'varve config'.

SIGTERM and SIGINT stop it in order. ` + signalsHelp,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := newServer(f)
			if err != nil {
				return err
			}
			defer s.close()
			s.cfg.AcceptOlderEtcd = older
			return s.runAgent(c.Context())
		},
	}
	f = addConfigFlags(c, agent.SharedConfig())
	f.check = func(cfg *agent.Config) error { return errors.Join(checkSettings(cfg), cfg.ValidateShared()) }
	c.Flags().BoolVar(&older, "accept-older-etcd", false, "for one start after etcd was restored from an older state: go on, set journals aside that it doesn't know, and hold garbage (docs/operations.md)")
	return c
}

func (s *server) runAgent(ctx context.Context) error {
	registry := newRegistry(s.limit)
	etcd := &etcdWait{log: s.log}
	defer etcd.close()
	open := func(ctx context.Context) (metadata.Store, error) {
		return etcd.open(ctx, s.cfg.Metadata, registry)
	}
	objects, err := s3store.Open(ctx, s.cfg.Store, s.log.With("part", "store"), registry)
	if err != nil {
		return fmt.Errorf("open the bucket: %w", err)
	}
	defer objects.Close()
	a, err := agent.New(s.cfg, agent.Deps{FS: vfs.OS{}, OpenMeta: open, Objects: objects, Log: s.log, LogLevel: s.level, Registry: registry, Listen: s.listen, Dial: dial, Memory: s.flags.memory, Host: host(), Version: version(), Hostname: hostname(), Exit: exit})
	if err != nil {
		return usageError{err}
	}
	err = s.run(ctx, a)
	if agent.IsReplaced(err) && ctx.Err() == nil {
		return beginAgain(s.log, err)
	}
	return err
}

// hostname is this host's name, "" if it isn't known.
func hostname() string {
	name, _ := os.Hostname()
	return name
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
