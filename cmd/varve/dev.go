package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"varve/agent"
	"varve/internal/logs"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/s3store"
)

// devFlags are those that only dev has; each is a shorter name of a setting.
type devFlags struct {
	kafka, advertised, http string
	verbose, secure         bool
	secured                 *securedDev // with --secure, once the data directory is known
}

// devDefaults are those of an agent that is alone, with what it needs inside.
func devDefaults() agent.Config {
	cfg := agent.SharedConfig()
	cfg.Memory = "12.5% up to 2GiB" // it is not the only thing that runs there
	cfg.DataDir = "./data"
	cfg.Groups.Members.InitialRebalanceDelay = 0 // as in Kafka's quick start
	cfg.Replication.Factor, cfg.Replication.Quorum, cfg.Peer.Bind = 1, 1, ""
	cfg.Metadata.Endpoints = nil // embedded
	cfg.Store.Driver = s3store.DriverDir
	cfg.AdvertiseAsReached = true
	return cfg
}

func devCommand() *cobra.Command {
	var d devFlags
	var f *configFlags
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster in one process, with nothing else needed",
		Long: `Run an agent with an embedded etcd and a directory as bucket, all below one data
directory. Acknowledged records survive kill -9 and loss of power; a second start
finds everything.

It takes every setting that 'varve agent' takes, as a flag, an environment variable (VARVE_*)
or in --config; docs/config.md lists them. With etcd.endpoints it uses that etcd, with
store.driver that bucket.

With --secure it speaks TLS with SASL (SASL_SSL), and ACLs decide. It makes an authority (ca.crt), a
certificate, and a first user, admin, that may do everything, and writes files with which clients
connect: client.properties for Kafka's tools, kcat.conf, and profile.yaml for this program's own
commands. HTTP has the same certificate and users.

On all interfaces (--kafka-listen :9092) clients are told the address at which they reached
it. Where that isn't theirs, as behind Docker Desktop's ports or NAT, --kafka-advertised says
what they are told.

` + signalsHelp,
		Example: `  varve dev
  varve dev --secure
  varve dev --data /tmp/varve --kafka-listen :9092 --http-listen :9644
  docker run -p 9092:9092 IMAGE dev --kafka-listen :9092 --kafka-advertised localhost:9092
  varve dev --kafka-default-partitions 3 --kafka-auto-create-topics=false --log-format json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := d.prepare(f); err != nil {
				return err
			}
			s, err := newServer(f)
			if err != nil {
				return err
			}
			defer s.close()
			s.binds[s.cfg.HTTP] = "--http-listen"
			s.binds[s.cfg.Listeners[0].Bind] = "--kafka-listen"
			return s.runDev(c.Context(), c.OutOrStdout(), d.secured)
		},
	}
	f = addConfigFlags(c, devDefaults())
	c.Flags().VisitAll(func(flag *pflag.Flag) { flag.Hidden = flag.Name != "config" && flag.Name != "pprof" })
	d.add(c, f)
	return c
}

func (d *devFlags) add(c *cobra.Command, f *configFlags) {
	flags := c.Flags()
	var data string
	flags.StringVar(&data, "data", "./data", "directory for everything that is stored")
	flags.StringVar(&d.kafka, "kafka-listen", "127.0.0.1:9092", "host:port of the Kafka protocol")
	flags.StringVar(&d.advertised, "kafka-advertised", "", "host:port that Kafka clients are told")
	flags.StringVar(&d.http, "http-listen", "127.0.0.1:9644", "host:port of health, metrics and the admin API")
	flags.BoolVarP(&d.verbose, "verbose", "v", false, "log more")
	flags.BoolVar(&d.secure, "secure", false, "start with TLS, SASL, ACLs, a first user and files for clients, all below the data directory")
	f.check = func(cfg *agent.Config) error {
		dev := *cfg
		var errs []error
		if flags.Changed("data") && data == "" {
			errs = append(errs, errors.New(`--data is "": must be a directory`))
			dev.DataDir = devDefaults().DataDir
		}
		return errors.Join(append(errs, checkDev(&dev))...)
	}
	f.special = func(cfg *agent.Config) {
		if flags.Changed("data") {
			cfg.DataDir = data
		}
		if flags.Changed("http-listen") {
			cfg.HTTP = d.http
		}
		if d.verbose {
			cfg.Log.Level = "debug"
		}
		if len(cfg.Listeners) == 0 {
			return // it is refused
		}
		first := &cfg.Listeners[0]
		own := *first
		if flags.Changed("kafka-listen") {
			own.Bind = d.kafka
		}
		own.Advertised = cmp.Or(d.advertised, own.Advertised)
		cfg.Listeners = append([]agent.Listener{own}, cfg.Listeners[1:]...)
		if d.secured != nil {
			d.secured.configure(cfg)
		}
	}
}

// prepare makes what --secure needs, before the settings are checked, which name these files.
func (d *devFlags) prepare(f *configFlags) error {
	if !d.secure {
		return nil
	}
	cfg, err := f.read()
	if err != nil || len(cfg.Listeners) == 0 {
		return nil // newServer says what is wrong
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return err
	}
	s := &securedDev{dir}
	if err := s.fits(&cfg); err != nil {
		return err
	}
	if err := s.prepare(hostsOf(cfg.Listeners[0].Bind, cfg.Listeners[0].Advertised, cfg.HTTP)); err != nil {
		return err
	}
	d.secured = s
	return nil
}

// checkDev finds all that is wrong with settings, of which dev has some by itself.
func checkDev(cfg *agent.Config) error {
	if cfg.Store.Driver == s3store.DriverDir {
		cfg.Store.Directory = cmp.Or(cfg.Store.Directory, filepath.Join(cfg.DataDir, "bucket"))
	}
	if len(cfg.Metadata.Endpoints) == 0 {
		cfg.Metadata.Endpoints = metadata.DefaultConfig().Endpoints // of the embedded one, later
	}
	return checkSettings(cfg)
}

func (s *server) runDev(ctx context.Context, out io.Writer, secured *securedDev) error {
	data, err := filepath.Abs(s.cfg.DataDir)
	if err != nil {
		return err
	}
	shown := s.cfg.DataDir
	s.cfg.DataDir = data
	if s.cfg.Store.Driver == s3store.DriverDir {
		s.cfg.Store.Directory = cmp.Or(s.cfg.Store.Directory, filepath.Join(data, "bucket"))
	}
	if err := os.MkdirAll(data, 0o750); err != nil {
		return usagef("data_dir %s (--data): %w", shown, err)
	}
	registry := newRegistry(s.limit)
	if len(s.cfg.Metadata.Endpoints) == 0 {
		etcd, err := metadata.StartEmbedded(ctx, metadata.EmbedConfig{Dir: filepath.Join(data, "etcd"), Prefix: s.cfg.Metadata.Prefix, Logger: s.log.With("part", "etcd")})
		if used := (*metadata.InUseError)(nil); errors.As(err, &used) {
			return fmt.Errorf("%s is in use by another 'varve dev'%s; stop it, or choose another directory with --data", shown, inParentheses(pid(used)))
		}
		if err != nil {
			return fmt.Errorf("start etcd: %w", err)
		}
		defer etcd.Close()
		etcd.Reach(&s.cfg.Metadata)
	}
	meta, err := metadata.Open(ctx, s.cfg.Metadata, s.log.With("part", "metadata"), registry)
	if err != nil {
		return fmt.Errorf("connect to etcd: %w", err)
	}
	defer meta.Close()
	objects, err := s3store.Open(ctx, s.cfg.Store, s.log.With("part", "store"), registry)
	if err != nil {
		return fmt.Errorf("open bucket: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(data, firstUserFile)); err == nil && secured == nil {
		s.log.Warn("this data was kept with --secure: without it this agent is as open as its settings say", "data", shown)
	}
	defer objects.Close()
	a, err := agent.New(s.cfg, agent.Deps{FS: vfs.OS{}, Meta: meta, Objects: objects, Log: s.log, LogLevel: s.level, Registry: registry, Listen: s.listen, Dial: dial, Memory: s.flags.memory, Host: host(), Version: version(), Hostname: hostname(), Exit: exit})
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-a.Started():
			if secured == nil {
				greet(out, a, s.cfg)
			} else if err := secured.greet(out, a); err != nil {
				s.log.Error("clients can't use --secure's files", "err", err)
			}
		case <-ctx.Done():
		}
	}()
	return s.run(ctx, a)
}

func pid(used *metadata.InUseError) string {
	if used.PID == "" {
		return ""
	}
	return "pid " + used.PID
}

// greet prints where to connect, and what to try first.
func greet(out io.Writer, a *agent.Agent, cfg agent.Config) {
	kafka := reachable(a.Addresses()[cfg.Listeners[0].Name])
	flag := " -b " + kafka
	if kafka == defaultBrokers {
		flag = ""
	}
	fmt.Fprintf(out, `Varve serves Kafka on %s and HTTP on %s; data is in %s.

Try, in another terminal:
  echo hello | %[4]s produce first%[5]s
  %[4]s consume first%[5]s
  %[4]s topic list%[5]s
or any other client of Kafka, such as: kcat -C -b %[1]s -t first -e
`, kafka, a.HTTPAddress(), cfg.DataDir, os.Args[0], flag)
}

// reachable is where something on this host connects to.
func reachable(bound string) string {
	host, port, err := net.SplitHostPort(bound)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return bound
}

// newRegistry returns the registry of a process: with metrics of Go, of the process, and of its
// log.
func newRegistry(log *logs.Limit) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), log)
	return r
}
