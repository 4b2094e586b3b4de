package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"varve/agent"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/s3store"
)

func devCommand() *cobra.Command {
	cfg := agent.DefaultConfig()
	cfg.Groups.InitialRebalanceDelay = 0 // as in Kafka's quick start
	cfg.Replication.Factor, cfg.Replication.Quorum, cfg.Peer.Bind = 1, 1, ""
	var data, kafka, http string
	var verbose bool
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole broker in one process, with nothing else needed",
		Long: `Run an agent with an embedded etcd and a directory as bucket, all below one data
directory. Acknowledged records survive kill -9 and loss of power; a second start
finds everything.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg.Listeners[0].Bind, cfg.HTTP = kafka, http
			return runDev(c.Context(), cfg, data, verbose, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&data, "data", "./data", "directory for everything that is stored")
	f.StringVar(&kafka, "kafka-listen", "127.0.0.1:9092", "host:port of the Kafka protocol")
	f.StringVar(&http, "http-listen", "127.0.0.1:9644", "host:port of health, metrics and the admin API")
	f.BoolVar(&cfg.Pprof, "pprof", false, "serve /debug/pprof")
	f.BoolVarP(&verbose, "verbose", "v", false, "log more")
	return c
}

func runDev(ctx context.Context, cfg agent.Config, data string, verbose bool, out io.Writer) error {
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	tuneMemory()
	if verbose {
		cfg.Log.Level = "debug"
	}
	log, err := newLogger(os.Stderr, cfg.Log)
	if err != nil {
		return err
	}
	cfg.DataDir = data
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	registry := newRegistry()
	etcd, err := metadata.StartEmbedded(ctx, metadata.EmbedConfig{Dir: filepath.Join(data, "etcd"), Logger: log.With("part", "etcd")})
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer etcd.Close()
	meta, err := metadata.Open(ctx, etcd.Config(), log.With("part", "metadata"), registry)
	if err != nil {
		return fmt.Errorf("connect to etcd: %w", err)
	}
	defer meta.Close()
	cfg.Store.Driver, cfg.Store.Directory = "dir", filepath.Join(data, "bucket")
	objects, err := s3store.Open(ctx, cfg.Store, log.With("part", "store"), registry)
	if err != nil {
		return fmt.Errorf("open bucket: %w", err)
	}
	defer objects.Close()
	a, err := agent.New(cfg, agent.Deps{FS: vfs.OS{}, Meta: meta, Objects: objects, Log: log, Registry: registry, Listen: net.Listen, Dial: dial, Version: version(), Exit: exit})
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-a.Started():
			greet(out, a, cfg)
		case <-ctx.Done():
		}
	}()
	return a.Run(ctx)
}

// greet says where to connect, and what to try first.
func greet(out io.Writer, a *agent.Agent, cfg agent.Config) {
	kafka := a.Addresses()[cfg.Listeners[0].Name]
	http := a.HTTPAddress()
	fmt.Fprintf(out, `Varve serves Kafka on %s and HTTP on %s; data lies in %s.

Try, in another terminal:
  echo hello | kcat -P -b %[1]s -t first
  kcat -C -b %[1]s -t first -e
  %[4]s topic list --brokers %[1]s
`, kafka, http, cfg.DataDir, os.Args[0])
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
