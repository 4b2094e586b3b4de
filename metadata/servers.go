package metadata

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// servers are etcd's servers one by one. A connection to each keeps sessions alive, and
// tells which of them hangs: it takes requests and doesn't answer, or can't reach the
// others. gRPC itself would go on asking it, and notices it only by its pings, which are
// further apart than a session's life.
type servers struct {
	all   []*server
	route func([]string) // sends requests to these from now on
	asks  sync.WaitGroup

	mu struct {
		sync.Mutex
		answered time.Time // any of them, last
	}
}

// server is one endpoint.
type server struct {
	endpoint string
	dial     func() (*clientv3.Client, error)

	mu struct {
		sync.Mutex
		client *clientv3.Client
		closed bool
	}
	silent bool // under the servers' lock
}

// renew keeps a lease alive: all servers are asked, the first answer counts. Those that
// have none when ctx ends, while another has, are not sent requests any more until they
// answer.
func (s *servers) renew(ctx context.Context, l Lease) error {
	began := time.Now()
	answers := make(chan error, len(s.all))
	for _, v := range s.all {
		s.asks.Go(func() {
			err := v.renew(ctx, l)
			s.note(v, began, err)
			answers <- err
		})
	}
	var first error
	for range s.all {
		err := <-answers
		if err == nil || errors.Is(err, ErrSessionLost) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// note records what a server made of what it was asked at a time.
func (s *servers) note(v *server, began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := v.silent
	switch {
	case err == nil, errors.Is(err, ErrSessionLost):
		s.mu.answered = time.Now()
		v.silent = false
	case errors.Is(err, errNoAnswer) && s.mu.answered.After(began):
		v.silent = true
	}
	if v.silent == was {
		return
	}
	var talk []string
	for _, v := range s.all {
		if !v.silent {
			talk = append(talk, v.endpoint)
		}
	}
	if len(talk) > 0 {
		s.route(talk)
	}
}

// close ends all connections, once no session is left.
func (s *servers) close() error {
	var errs []error
	for _, v := range s.all {
		v.mu.Lock()
		v.mu.closed = true
		if v.mu.client != nil {
			errs = append(errs, v.mu.client.Close())
		}
		v.mu.Unlock()
	}
	s.asks.Wait()
	return errors.Join(errs...)
}

// errNoAnswer: a server took a request, and had no answer in time.
var errNoAnswer = errors.New("no answer in time")

// connect makes the connection at first use.
func (v *server) connect() (*clientv3.Client, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.closed {
		return nil, ErrClosed
	}
	var err error
	if v.mu.client == nil {
		v.mu.client, err = v.dial()
	}
	return v.mu.client, err
}

// renew asks this server once. Etcd's own KeepAliveOnce asks a server that refuses
// connections again without a pause.
func (v *server) renew(ctx context.Context, l Lease) error {
	c, err := v.connect()
	if err != nil {
		return err
	}
	ask, cancel := context.WithCancel(ctx)
	defer cancel()
	err = renewOver(ask, c, l)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.Join(ErrUnavailable, errNoAnswer)
	}
	return mapError(ctx, err)
}

func renewOver(ctx context.Context, c *clientv3.Client, l Lease) error {
	stream, err := pb.NewLeaseClient(c.ActiveConnection()).LeaseKeepAlive(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(l)}); err != nil {
		return err
	}
	r, err := stream.Recv()
	if err == nil && r.TTL <= 0 {
		err = ErrSessionLost
	}
	return err
}

// newServers returns the store's endpoints.
func (s *etcdStore) newServers() *servers {
	out := &servers{route: s.reroute}
	for _, e := range s.cfg.Endpoints {
		one := s.cfg
		one.Endpoints = []string{e}
		out.all = append(out.all, &server{endpoint: e, dial: func() (*clientv3.Client, error) { return dial(s.ctx, s.ctx, one, s.log) }})
	}
	return out
}

// reroute sends requests to these servers from now on. What waits for another one is
// given up: it is asked again where there is an answer.
func (s *etcdStore) reroute(to []string) {
	if s.cfg.here != nil {
		return // it is asked without a connection
	}
	before := s.client.Endpoints()
	s.log.Warn("etcd servers that answer have changed", "answer", to, "before", before)
	s.client.SetEndpoints(to...)
	if slices.ContainsFunc(before, func(e string) bool { return !slices.Contains(to, e) }) {
		s.health.retry()
	}
}
