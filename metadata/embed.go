package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// EmbedConfig is where an etcd inside this process keeps its data.
type EmbedConfig struct {
	// Dir is etcd's own directory; it is made with mode 0700 if need be. It may
	// be moved between two starts.
	Dir string
	// Prefix is the Prefix of the client Config that Embedded.Config returns;
	// empty means DefaultConfig's.
	Prefix string
	// QuotaBytes bounds etcd's database; zero means 8 GiB. At the quota writes
	// fail until room is made: at the next start, or by KeepHistory.
	QuotaBytes int64
	// Logger takes etcd's lines of level warn and above.
	Logger *slog.Logger
}

// Settings of the one member. Nothing is ever sent to another one, so the
// election's only effects are on the time to serve, of which it is up to one
// election, and on the least time to live of a lease, which is one and a half of
// them, in whole seconds. The tick is not shorter because each wakes the process.
const (
	embedName     = "varve"
	embedTick     = 20 * time.Millisecond
	embedElection = 100 * time.Millisecond
	embedQuota    = 8 << 30
	embedSnapshot = 10_000 // transactions between two snapshots of raft's state
)

// Embedded is a durable etcd of one member inside this process. The process asks it
// without a connection. For all else, and for others, it listens on unix sockets only, so
// that it takes no port and needs no password: whoever may enter the directory (made with
// mode 0700) and write to the sockets may connect.
type Embedded struct {
	etcd    *embed.Etcd
	lock    io.Closer
	log     *slogCore
	sockets string // directory of the sockets, if not the data's
	config  Config
	once    sync.Once
}

// StartEmbedded starts etcd on new or existing data, and returns when it serves.
// A directory that is in use is an error. ctx bounds the start.
func StartEmbedded(ctx context.Context, cfg EmbedConfig) (*Embedded, error) {
	start := time.Now()
	if cfg.Dir == "" {
		return nil, errors.New("embedded etcd: directory is empty, allowed is a path")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded etcd: directory %q: %w", cfg.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded etcd: make directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	e := &Embedded{lock: lock, log: newSlogCore(cfg.Logger)}
	if err := e.start(ctx, dir, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded etcd in %s: %w", dir, err), e.Close())
	}
	cfg.Logger.Debug("embedded etcd serves", "dir", dir, "after", time.Since(start))
	return e, nil
}

// start runs etcd and waits until it serves.
func (e *Embedded) start(ctx context.Context, dir string, cfg EmbedConfig) error {
	sockets, err := e.socketDir(dir)
	if err != nil {
		return err
	}
	client := url.URL{Scheme: "unix", Path: filepath.Join(sockets, "client.sock")}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(sockets, "peer.sock")}
	e.etcd, err = embed.StartEtcd(e.member(dir, cfg.QuotaBytes, client, peer))
	if err != nil {
		return err
	}
	select {
	case <-e.etcd.Server.ReadyNotify():
	case err := <-e.etcd.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	e.config = DefaultConfig()
	e.config.Endpoints, e.config.here = []string{client.String()}, e.etcd.Server
	if cfg.Prefix != "" {
		e.config.Prefix = cfg.Prefix
	}
	return e.reclaim(ctx, cfg.Logger)
}

// reclaim makes room if the last process left etcd full: nothing could be written
// otherwise, not even the one that is to make room.
func (e *Embedded) reclaim(ctx context.Context, log *slog.Logger) error {
	s, err := Open(ctx, e.config, log, nil)
	if err != nil {
		return err
	}
	_, err = s.(Tidier).Reclaim(ctx)
	return errors.Join(err, s.Close())
}

// member is etcd's configuration.
func (e *Embedded) member(dir string, quota int64, client, peer url.URL) *embed.Config {
	c := embed.NewConfig()
	c.Name = embedName
	c.Dir = filepath.Join(dir, "data")
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = embedName + "=" + peer.String() // matters at the first start only
	c.TickMs = uint(embedTick.Milliseconds())
	c.ElectionMs = uint(embedElection.Milliseconds())
	c.InitialElectionTickAdvance = true
	c.PreVote = false // there is no peer to ask
	c.SnapshotCount = embedSnapshot
	c.QuotaBackendBytes = embedQuota
	if quota > 0 {
		c.QuotaBackendBytes = quota
	}
	c.MaxTxnOps = MaxTxnOps
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(e.log.logger())
	return c
}

// maxSocketPath is what a unix socket's path may be everywhere; the names of
// the sockets take part of it.
const maxSocketPath = 103 - len("/client.sock")

// socketDir is the data's own directory, or a short one if its path is too long
// for a socket.
func (e *Embedded) socketDir(dir string) (string, error) {
	if len(dir) <= maxSocketPath {
		return dir, nil
	}
	var err error
	if e.sockets, err = os.MkdirTemp("", "varve-etcd-"); err != nil {
		return "", fmt.Errorf("make directory for sockets: %w", err)
	}
	return e.sockets, nil
}

// Config is how a client reaches it.
func (e *Embedded) Config() Config { return e.config }

// Reach makes a configuration's requests go to it. Those that read and write keys and watch
// them need no connection.
func (e *Embedded) Reach(c *Config) { c.Endpoints, c.here = e.config.Endpoints, e.config.here }

// Close stops etcd; what it answered is on disk.
func (e *Embedded) Close() error {
	var err error
	e.once.Do(func() { err = e.close() })
	return err
}

func (e *Embedded) close() error {
	e.log.closing.Store(true)
	if e.etcd != nil {
		e.etcd.Close()
	}
	var err error
	if e.sockets != "" {
		err = os.RemoveAll(e.sockets)
	}
	return errors.Join(err, e.lock.Close())
}
