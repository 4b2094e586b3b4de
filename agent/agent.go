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
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/chance"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/owner"
	"varve/ownjournal"
	"varve/s3store"
	"varve/wal"
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
	LogLevel *slog.LevelVar // of Log, which operators may change; nil: they can't
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
	Levels   schema.Levels // that this build knows; zero: schema.Known
	Hostname string        // one of the names by which HTTP may be asked for
	// Exit ends the process at once. It is called when the disk hangs and the agent
	// can't end for that; nil: Run returns when the disk answers again.
	Exit func(error)
}

// Agent is one running broker process. Each step of a start makes a part of it whole.
type Agent struct {
	*process
	*startup
	places   *places
	owned    *owner.Set
	unserved *owner.Unserved
	bucket   *bucketClaim

	http  *web
	seen  *metadata.Seen
	store *wal.Store
	*member
	doors    *doors
	near     *neighbours
	own      *ownjournal.Journal // this incarnation's
	tier     *tier
	holes    *holes
	serves   *service
	election *election
}

// New makes an agent; Run runs it.
func New(cfg Config, deps Deps) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Agent{process: newProcess(cfg, deps), startup: newStartup(), owned: owner.NewSet(), unserved: owner.NewUnserved(deps.Log)}
	a.places = newPlaces(a.process)
	a.bucket = &bucketClaim{cfg: &a.cfg, deps: &a.deps, self: a.self, log: a.log, places: a.places, done: make(chan struct{})}
	return a, nil
}

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
	a.serves.ready.begin()
	a.over(a.newConsole())
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
		{"prepare the users", a.prepareUsers},
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

// newConsole makes what operators ask, when all parts are there.
func (a *Agent) newConsole() *console {
	control := a.election.control
	return &console{
		process: a.process, member: a.member, owned: a.owned, unserved: a.unserved, store: a.store, tier: a.tier, holes: a.holes,
		peers: a.near.peers, mine: a.own.ID, control: control,
		inspect: &inspector{a.process, a.member, a.places, a.store, a.owned, a.unserved, a.tier, a.near.peers, control, a.serves.ready},
	}
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

// serve begins to answer clients, and to upload.
func (a *Agent) serve(_, life context.Context) (err error) {
	serving, stop := context.WithCancel(life)
	if a.serves, err = a.newService(stop); err != nil {
		stop()
		return err
	}
	if a.http != nil {
		a.http.users.broker.Store(a.serves.broker)
	}
	for i, l := range a.doors.clients {
		asks := a.doors.asks[i]
		a.run(func() {
			if err := a.serves.broker.Serve(serving, asks, l); err != nil {
				a.die(fmt.Errorf("listener %s: %w", asks.Name, err))
			}
		})
	}
	a.run(func() { a.doors.certs.watch(life) })
	a.tier.run(a.bucket.done, a.die)
	if a.deps.Host != nil {
		a.run(func() { a.serves.memory.run(life) })
	}
	return nil
}

// takePartitions begins to do what the controller decides, and waits a while for the
// first partitions and coordinators, so that an agent that is alone is ready to serve when it reports so.
func (a *Agent) takePartitions(ctx, life context.Context) error {
	a.election = stand(life, a.process, a.member, a.near.peers)
	a.run(func() { a.near.follow(life) })
	a.run(func() { a.serves.slots.run(life) })
	a.run(func() { a.serves.owner.Run(life) })
	a.run(func() { a.own.Run(life) })
	a.run(func() { ownjournal.NewDisk(a.journalDeps(), a.own.ID).Run(life) })
	a.run(func() { a.serves.mover.Run(life) })
	a.run(func() { a.tellLoad(life) })
	a.run(func() { a.holes.watch(life) })
	a.run(func() { a.serves.slots.forgetOffsets(life) })
	(&auditSink{process: a.process, view: a.view, editor: a.editor, peers: a.near.peers}).run(life)
	tokens := &tokenWatch{own: a.tokens, view: a.view, editor: a.editor, active: a.election.control.Active, now: a.deps.Now, log: a.log, audit: a.audit()}
	a.run(func() { tokens.run(life) })
	first, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	a.awaitFirst(first) // clients are served already: a start that is stopped here has to end in order
	return nil
}

// firstPatience is how long a start waits for its first partitions.
const firstPatience = 2 * time.Second

// awaitFirst returns when all partitions and coordinator slots have an agent, and this one serves
// those that it has, or ctx ends.
func (a *Agent) awaitFirst(ctx context.Context) {
	for ctx.Err() == nil {
		changed := a.view.Changed()
		incomplete := withoutLeader(a.view) > 0 || a.serves.slots.free()
		if a.owned.Await(ctx, changed, a.awaited()) && !incomplete {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// awaited returns what this agent owns and doesn't serve yet.
func (a *Agent) awaited() (all []id.Partition) {
	for p, o := range a.view.Owners() {
		if _, exists := a.view.TopicByID(p.Topic); exists && o.Incarnation == a.inc && a.owned.Get(p) == nil {
			all = append(all, p)
		}
	}
	return all
}

// abort undoes a start that failed.
func (a *Agent) abort() {
	if a.doors != nil {
		for _, l := range a.doors.clients {
			l.Close()
		}
	}
	if a.election != nil {
		a.election.stop()
	}
	if a.near != nil {
		a.near.peers.Close()
	} else if a.doors != nil {
		a.doors.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	a.closeHTTP(ctx)
	if a.own != nil {
		a.own.Close()
	}
	if a.member != nil {
		_ = a.reg.lease().Close(ctx) // the lease ends by itself too
		_ = a.heads.Close(ctx)
	}
	if a.store != nil {
		_ = a.store.Close()
	}
}

// ensureCluster reads the cluster's id, or decides it, with the level of a new cluster.
func ensureCluster(ctx context.Context, store metadata.Store, random *chance.Source, now time.Time, level uint8) (string, error) {
	for {
		kv, err := store.Get(ctx, schema.KeyCluster)
		if err == nil {
			c, err := schema.DecodeCluster(kv.Value)
			return c.ID, err
		}
		if !errors.Is(err, metadata.ErrNotFound) {
			return "", err
		}
		c := schema.Cluster{ID: id.NewTopic(random).String(), Created: now, Level: level}
		_, err = store.Txn(ctx, []metadata.Guard{{Key: schema.KeyCluster}}, metadata.Put(schema.KeyCluster, c.Encode()))
		if err != nil && !errors.Is(err, metadata.ErrConflict) {
			return "", err
		}
	}
}
