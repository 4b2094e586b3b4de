package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"

	"varve/internal/backoff"
)

// etcdStore is a Store over etcd's client.
type etcdStore struct {
	cfg     Config
	client  *clientv3.Client
	log     *slog.Logger
	metrics *storeMetrics
	health  health
	servers *servers
	streams atomic.Uint64 // numbers watch streams

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu struct {
		sync.Mutex
		closed bool
		wg     sync.WaitGroup // watches and sessions; grows under the lock only
	}
}

// Open connects to etcd and returns when it has answered once, or with
// ErrUnavailable after cfg.DialTimeout, or with ErrDenied. ctx bounds Open only.
func Open(ctx context.Context, cfg Config, log *slog.Logger, reg prometheus.Registerer) (Store, error) {
	return Await(ctx, cfg, log, reg, func(err error) error { return err })
}

// Await connects to etcd as Open does, but may wait until it is there: away is called with the reason why etcd
// didn't answer for cfg.DialTimeout, and ends the waiting by returning an error. A
// certificate that one side doesn't trust is not waited for.
func Await(ctx context.Context, cfg Config, log *slog.Logger, reg prometheus.Registerer, away func(error) error) (Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("etcd config: %w", err)
	}
	failed := func(err error) error { return fmt.Errorf("open etcd %v: %w", cfg.Endpoints, err) }
	var client *clientv3.Client
	err := persist(ctx, cfg, away, func() (err error) {
		if cfg.here != nil {
			client = v3client.New(cfg.here)
			return nil
		}
		client, err = dial(ctx, context.Background(), cfg, log)
		return err
	})
	if err != nil {
		return nil, failed(err)
	}
	s := &etcdStore{cfg: cfg, client: client, log: log, metrics: newStoreMetrics(reg)}
	s.health.log, s.health.metrics = log, s.metrics
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.servers = s.newServers()
	if err := persist(ctx, cfg, away, func() error { return s.greet(ctx) }); err != nil {
		return nil, errors.Join(failed(err), s.Close())
	}
	return s, nil
}

// persist tries until something succeeds, fails for another reason than that etcd is away,
// or away has had enough.
func persist(ctx context.Context, cfg Config, away func(error) error, try func() error) error {
	wait := backoff.Retry{Policy: retries}
	for {
		err := try()
		if err == nil || !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		why := unreached(ctx, cfg)
		if why != nil {
			err = fmt.Errorf("%w: %w", ErrUnavailable, why)
		}
		if errors.As(why, new(*untrustedError)) {
			return err
		}
		if err := away(err); err != nil {
			return err
		}
		_ = wait.Wait(ctx)
	}
}

// dial makes the client. It connects in the background, and again after every
// loss within about a second: a session with a short time to live depends on it. It is
// of use for life.
func dial(ctx, life context.Context, cfg Config, log *slog.Logger) (*clientv3.Client, error) {
	tlsConfig, err := cfg.client()
	if err != nil {
		return nil, err
	}
	again := grpcbackoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	options := []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: again, MinConnectTimeout: cfg.DialTimeout})}
	if tlsConfig != nil {
		options = append(options, grpc.WithTransportCredentials(newFileCreds(cfg, tlsConfig, log)))
	}
	if cfg.Username != "" {
		t := newTokens(cfg, log)
		options = append(options, grpc.WithChainUnaryInterceptor(t.unary), grpc.WithChainStreamInterceptor(t.stream))
	}
	client, err := clientv3.New(clientv3.Config{
		Context:     life,
		Endpoints:   cfg.Endpoints,
		DialTimeout: cfg.DialTimeout,
		// A host that vanished without a word is noticed by pings; etcd's own
		// limit allows them every 5 s, gRPC every 10 s.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		TLS:                  tlsConfig,
		Username:             cfg.Username,
		Password:             cfg.Password,
		Logger:               zap.NewNop(), // it logs every try; health logs every outage
		DialOptions:          options,
	})
	return client, mapError(ctx, err) // with a password it asks for a token at once
}

// greeting is a key that no one writes. Reading it shows whether etcd answers, and its revision.
const greeting = "greeting"

// greet asks etcd something that needs a leader and our credentials.
func (s *etcdStore) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.DialTimeout, ErrUnavailable)
	defer cancel()
	wait := backoff.Retry{Policy: retries}
	for {
		_, err := s.get(ctx, greeting)
		switch {
		case err == nil, errors.Is(err, ErrNotFound):
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w: no answer: %v", context.Cause(ctx), err)
		case !errors.Is(err, ErrUnavailable):
			return err
		}
		_ = wait.Wait(ctx)
	}
}

// call runs one request with the request's time limit, counts it, and maps its
// error.
func (s *etcdStore) call(ctx context.Context, op string, do func(context.Context) error) error {
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err // an etcd in this process might do it all the same
	}
	rctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	try := s.health.try()
	defer context.AfterFunc(try, cancel)()
	start := time.Now()
	err := mapError(ctx, do(rctx))
	if err != nil && s.ctx.Err() != nil {
		err = ErrClosed
	}
	s.metrics.observe(op, start, err)
	if try.Err() == nil { // else it may be from before the end of an outage
		s.health.note(err)
	}
	return err
}

// start runs a goroutine that Close waits for; false if the store is closed.
func (s *etcdStore) start(run func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	s.mu.wg.Go(run)
	return true
}

// Close implements Store.
func (s *etcdStore) Close() error {
	s.mu.Lock()
	again := s.mu.closed
	s.mu.closed = true
	s.mu.Unlock()
	s.cancel()
	s.mu.wg.Wait()
	if again {
		return nil
	}
	if err := errors.Join(s.client.Close(), s.servers.close()); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("close etcd client: %w", err)
	}
	return nil
}
