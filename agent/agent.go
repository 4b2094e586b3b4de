// Package agent is the broker process: it puts the parts together from one Deps,
// starts them in order and stops them in reverse.
//
// It promises that nothing is served before the agent is fenced off from its
// earlier self, that every goroutine it starts has ended when Run returns, and
// that a stop under a working bucket leaves nothing behind that only this disk
// has. It contains no protocol of its own.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/admin"
	"varve/broker"
	"varve/cluster"
	"varve/controller"
	"varve/coordinator"
	"varve/group"
	"varve/internal/chance"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/owner"
	"varve/ownjournal"
	"varve/partition"
	"varve/s3store"
	"varve/wal"
	"varve/wal/replica"
)

// Deps is everything impure that an agent uses.
type Deps struct {
	FS   vfs.FS
	Meta metadata.Store
	// OpenMeta opens Meta, if that is nil, once the agent answers HTTP: it may wait until
	// etcd is there. It closes nothing.
	OpenMeta func(ctx context.Context) (metadata.Store, error)
	Objects  s3store.Store
	Log      *slog.Logger
	Registry *prometheus.Registry
	Listen   func(network, addr string) (net.Listener, error)
	Dial     func(ctx context.Context, addr string) (net.Conn, error)
	Now      func() time.Time // nil is time.Now
	// Random is where all randomness comes from; it must not end, and nil is the
	// system's. It need not be safe for many callers. Each part gets a source of
	// its own, in the order of the start.
	Random   io.Reader
	Host     *Host  // the machine's memory; nil: it is not looked after
	Memory   Memory // how the process's memory is divided, for metrics
	Version  string
	Hostname string // one of the names by which HTTP may be asked for
	// Exit ends the process at once. It is called when the disk hangs and the agent
	// can't end for that; nil: Run returns when the disk answers again.
	Exit func(error)
}

// Agent is one running broker process.
type Agent struct {
	cfg    Config
	deps   Deps
	disk   *vfs.Watched // deps.FS
	log    *slog.Logger
	random *chance.Source
	self   id.Broker
	inc    id.Incarnation
	id     string // the cluster's id
	store  *wal.Store
	heads  *metadata.Writer
	view   *cluster.View
	editor *cluster.Editor

	session      atomic.Pointer[metadata.Session]
	own          *ownjournal.Journal // this incarnation's
	owned        *owner.Set
	owner        *owner.Owner
	mover        *owner.Mover
	parts        *partition.Deps
	broker       *broker.Broker
	tier         *tier
	groups       *group.Groups
	slots        [coordinator.Slots]metadata.Guard // held; only follow writes it
	peers        *replica.Node
	known        addresses
	probing      sync.Map // incarnations that are being asked whether they live
	revoked      sync.Map // leases that this agent ended
	tails        *replica.Tails
	seen         *metadata.Seen
	bucket       *bucketClaim
	registered   atomic.Int64 // revision of this agent's key
	control      *controller.Controller
	unserved     *owner.Unserved
	halved       atomic.Int64 // how often the caches are, for want of memory
	leaving      atomic.Bool  // told to stop
	listeners    []net.Listener
	peerListener net.Listener
	peerTLS      *replica.TLS // nil: connections with other agents are plain
	peerAddr     string
	stopControl  context.CancelFunc
	controlling  sync.WaitGroup
	endpoints    []metadata.Endpoint

	stopServing  context.CancelFunc
	admin        *admin.Server
	httpListener net.Listener
	awaits       atomic.Pointer[string] // what a start waits for
	inspect      *inspector
	fatal        chan error // what ends the process
	started      chan struct{}
	tasks        sync.WaitGroup
}

// New makes an agent; Run runs it.
func New(cfg Config, deps Deps) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	disk := vfs.Watch(deps.FS)
	deps.FS = disk
	a := &Agent{cfg: cfg, disk: disk, deps: deps, log: deps.Log, random: chance.New(deps.Random), self: id.Broker(cfg.BrokerID), owned: owner.NewSet(), unserved: owner.NewUnserved(deps.Log),
		fatal: make(chan error, 1), started: make(chan struct{})}
	a.inspect = &inspector{a: a, places: newPlaces(a)}
	a.bucket = &bucketClaim{cfg: &a.cfg, deps: &a.deps, self: a.self, log: a.log, places: a.inspect.places, done: make(chan struct{})}
	return a, nil
}

// Started is closed once clients are served.
func (a *Agent) Started() <-chan struct{} { return a.started }

// Run serves until ctx ends, then stops in order; or until something fails that
// it can't go on without.
func (a *Agent) Run(ctx context.Context) error {
	defer a.watchDisk()()
	began := a.deps.Now()
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer a.tasks.Wait()
	defer cancel()
	if err := a.start(ctx, life); err != nil {
		a.abort()
		if ctx.Err() != nil {
			a.log.Info("stopped before the start was over", "err", err)
			return nil
		}
		return err
	}
	a.inspect.began.Store(a.millis())
	a.inspect.unopened()
	close(a.started)
	a.log.Info("serving", "broker", a.self, "incarnation", a.inc, "cluster", a.id, "version", a.deps.Version, "partitions", a.owned.Len(), "took", a.deps.Now().Sub(began))
	var failed error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case failed = <-a.fatal:
		a.log.Error("agent is failing", "err", failed)
	}
	a.stop(failed)
	return failed
}

// start brings everything up; life is the context of what runs until the end.
func (a *Agent) start(ctx, life context.Context) error {
	steps := []struct {
		name string
		do   func(ctx, life context.Context) error
	}{
		{"make the data directory", a.makeDataDir},
		{"answer HTTP", a.openHTTP},
		{"reach etcd", a.reachEtcd},
		{"accept an older etcd", a.acceptOlder},
		{"open the journals", a.openJournals},
		{"join the cluster", a.join},
		{"listen", a.listen},
		{"open the peers", a.openPeers},
		{"register", a.register},
		{"open a journal", a.openJournal},
		{"open the tier", a.openTier},
		{"serve", a.serve},
		{"take partitions", a.takePartitions},
	}
	for _, s := range steps {
		began := a.deps.Now()
		a.stands("to " + s.name)
		if err := s.do(ctx, life); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		a.log.Debug("started", "step", s.name, "took", a.deps.Now().Sub(began))
	}
	return nil
}

// reachEtcd waits until etcd answers.
func (a *Agent) reachEtcd(ctx, _ context.Context) (err error) {
	if a.deps.Meta == nil {
		a.stands("to reach etcd at " + strings.Join(a.cfg.Metadata.Endpoints, ", "))
		a.deps.Meta, err = a.deps.OpenMeta(ctx)
	}
	return err
}

func (a *Agent) makeDataDir(_, _ context.Context) error {
	if err := a.deps.FS.MkdirAll(a.cfg.DataDir); err != nil {
		return fmt.Errorf("data_dir %s: %w", a.cfg.DataDir, err)
	}
	return nil
}

func (a *Agent) openJournals(_, _ context.Context) error {
	cfg := a.cfg.Journal
	cfg.Dir = a.cfg.JournalDir()
	var err error
	a.store, err = wal.Open(cfg, wal.Options{FS: a.deps.FS, Log: a.log.With("part", "journal"), Registry: a.deps.Registry, Fatal: a.die, Clock: a.deps.Now, Random: a.random.Split()})
	if err != nil {
		return fmt.Errorf("data_dir %s: %w", a.cfg.DataDir, err)
	}
	return nil
}

// die ends the process for a reason that nothing can go on after.
func (a *Agent) die(err error) {
	select {
	case a.fatal <- err:
	default:
	}
}

// run starts a goroutine that stop waits for.
func (a *Agent) run(f func()) {
	a.tasks.Add(1)
	go func() {
		defer a.tasks.Done()
		f()
	}()
}

func (a *Agent) listen(_, _ context.Context) error {
	for _, l := range a.cfg.Listeners {
		nl, err := a.deps.Listen("tcp", l.Bind)
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		a.listeners = append(a.listeners, nl)
		e, err := a.cfg.advertise(l, nl.Addr().String())
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		a.endpoints = append(a.endpoints, e)
	}
	return a.listenPeers()
}

// advertise returns the endpoint that clients are told for a listener, which is bound to the
// address bound. The host stays as the settings name it, even where it was resolved.
func (c *Config) advertise(l Listener, bound string) (metadata.Endpoint, error) {
	host, port, err := splitAddress(bound)
	if err != nil {
		return metadata.Endpoint{}, err
	}
	if given, _, err := splitAddress(l.Bind); err == nil && given != "" {
		host = given
	}
	if l.Advertised != "" {
		if host, port, err = splitAddress(l.Advertised); err != nil {
			return metadata.Endpoint{}, err
		}
	}
	if ip := net.ParseIP(host); (host == "" || ip != nil && ip.IsUnspecified()) && !c.AdvertiseAsReached {
		return metadata.Endpoint{}, fmt.Errorf("it is bound to all interfaces (%s), so advertised must say what clients connect to, such as broker-1.example:%d", bound, port)
	}
	return metadata.Endpoint{Listener: l.Name, Host: host, Port: port}, nil
}

// Addresses returns where the listeners are bound, by name.
func (a *Agent) Addresses() map[string]string {
	out := map[string]string{}
	for i, l := range a.listeners {
		out[a.cfg.Listeners[i].Name] = l.Addr().String()
	}
	return out
}

func (a *Agent) serve(_, life context.Context) error {
	a.openGroups()
	a.parts = &partition.Deps{Journal: a.own.Writer(), Local: a.tails, Remote: a.tails.Asks, Heads: a.heads, Stored: a.deps.Meta, Snapshots: a.tier, Clock: a.millis, Copies: partition.NewCopies(a.cfg.Kafka.FetchMemoryBytes),
		Metrics: partition.NewMetrics(a.deps.Registry), TrustHeaders: a.cfg.Produce.Validation == ValidateHeaders, Traffic: a.openMeters().Of, Log: a.log.With("part", "partition")}
	serves := owner.Deps{
		Self: a.self, Incarnation: a.inc, Store: a.store.ID(), Set: a.owned, Unserved: a.unserved, Partition: a.parts, View: a.view, Meta: a.deps.Meta, Heads: a.heads, Seen: a.seen,
		Tails: a.tails, Mine: a.own.ID, Flush: a.tier.upload.Flush, EtcdAnswers: a.etcdAnswers, Opening: a.inspect.noteOpening, Leaving: a.leaving.Load,
		Go: a.run, Fatal: a.die, Now: a.deps.Now, Log: a.log,
	}
	a.owner, a.mover = owner.New(serves), owner.NewMover(serves)
	b, err := broker.New(a.cfg.Kafka, broker.Deps{
		View: a.view, Editor: a.editor, Store: a.deps.Meta, Partitions: a.owned, Tier: a.tier, Journal: a.store, Groups: a.groups,
		Random: a.random.Split(), Log: a.log.With("part", "kafka"), Registry: a.deps.Registry, ClusterID: a.id, Self: a.self, DataDir: a.cfg.JournalDir(),
	})
	if err != nil {
		return err
	}
	a.broker = b
	serving, stop := context.WithCancel(life)
	a.stopServing = stop
	for i, l := range a.listeners {
		name := a.cfg.Listeners[i].Name
		a.run(func() {
			if err := b.Serve(serving, name, l); err != nil {
				a.die(fmt.Errorf("listener %s: %w", name, err))
			}
		})
	}
	a.runTier(life)
	if a.deps.Host != nil {
		a.run(func() { a.watchMemory(life) })
	}
	return nil
}

// takePartitions begins to do what the controller says, and waits a while for the
// first partitions and coordinators, so that an agent that is alone serves when it says so.
func (a *Agent) takePartitions(ctx, life context.Context) error {
	a.runController(life)
	a.run(func() { a.follow(life) })
	a.run(func() { a.owner.Run(life) })
	a.run(func() { a.own.Run(life) })
	a.run(func() { ownjournal.NewDisk(a.journalDeps(), a.own.ID).Run(life) })
	a.run(func() { a.mover.Run(life) })
	a.run(func() { a.tellLoad(life) })
	a.run(func() { a.watchHoles(life) })
	a.run(func() { a.forgetOffsets(life) })
	patience := time.NewTimer(firstPatience)
	defer patience.Stop()
	for a.withoutLeader() > 0 || a.awaited() || a.slotsFree() {
		changed := a.view.Changed()
		select {
		case <-changed:
		case <-time.After(5 * time.Millisecond):
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return nil // clients are served already: it has to end in order
		}
	}
	return nil
}

// slotsFree reports whether a coordinator slot has no agent: its consumer groups wait.
func (a *Agent) slotsFree() bool {
	slots := a.view.Slots()
	for n := range coordinator.Slots {
		if o := slots[n]; !a.view.Alive(o.Incarnation, o.Broker) {
			return true
		}
	}
	return false
}

// firstPatience is how long a start waits for its first partitions.
const firstPatience = 2 * time.Second

// awaited reports whether this agent owns something that it doesn't serve yet.
func (a *Agent) awaited() bool {
	for p, o := range a.view.Owners() {
		if _, exists := a.view.TopicByID(p.Topic); exists && o.Incarnation == a.inc && a.owned.Get(p) == nil {
			return true
		}
	}
	return false
}

// abort undoes a start that failed.
func (a *Agent) abort() {
	for _, l := range a.listeners {
		l.Close()
	}
	if a.stopControl != nil {
		a.stopControl()
		a.controlling.Wait()
	}
	if a.peers != nil {
		a.peers.Close()
	} else if a.peerListener != nil {
		a.peerListener.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	a.closeHTTP(ctx)
	if a.own != nil {
		a.own.Close()
	}
	if a.session.Load() != nil {
		_ = a.lease().Close(ctx) // the lease ends by itself too
	}
	if a.heads != nil {
		_ = a.heads.Close(ctx)
	}
	if a.store != nil {
		_ = a.store.Close()
	}
}

// ensureCluster reads the cluster's id, or decides it.
func ensureCluster(ctx context.Context, store metadata.Store, random *chance.Source, now time.Time) (string, error) {
	for {
		kv, err := store.Get(ctx, metadata.KeyCluster)
		if err == nil {
			c, err := metadata.DecodeCluster(kv.Value)
			return c.ID, err
		}
		if !errors.Is(err, metadata.ErrNotFound) {
			return "", err
		}
		c := metadata.Cluster{ID: id.NewTopic(random).String(), Created: now}
		_, err = store.Txn(ctx, []metadata.Guard{{Key: metadata.KeyCluster}}, metadata.Put(metadata.KeyCluster, c.Encode()))
		if err != nil && !errors.Is(err, metadata.ErrConflict) {
			return "", err
		}
	}
}
