// Package sim runs whole clusters in fake time: the product's own agents over a
// simulated network, disks, metadata store and bucket, with faults that follow from
// a seed, and a checker that holds what clients saw against the promises.
//
// It promises that a run which fails says so with its seed and the end of its
// history. docs/simulation.md says what is simulated, what is not, and how far a seed
// repeats a run. It never looks into an agent: what counts is what clients see.
package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"varve/agent"
	"varve/auth/sasl"
	"varve/auth/token"
	"varve/internal/backoff"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/s3store"
)

const topicName = "t"

// keepLines is how much of a history is kept to be shown.
const keepLines = 20000

// world is one run.
type world struct {
	t          *testing.T
	seed       uint64
	random     *rand.Rand // of the driver: faults, and what follows from them
	log        *history
	net        *network
	meta       *metadata.Memory
	bucket     s3store.Store
	bucketAway atomic.Bool
	hosts      []*host
	ledger     *ledger
	book       *book
	guard      *guard
	upgrade    *upgrade
	away       int // faults that keep etcd away now
	partitions int32
	keep       int64    // bytes of trimmed journal files that agents keep
	factor     int      // stores of a journal
	quorum     int      // stores that must have an entry
	repairs    []repair // of the driver
	running    sync.WaitGroup
	failures   []string
	mu         sync.Mutex
	streams    uint64
}

// newWorld makes everything, and starts nothing.
func newWorld(t *testing.T, seed uint64, level slog.Level) *world {
	w := &world{t: t, seed: seed, log: newHistory(keepLines, level), meta: metadata.NewMemory(), bucket: s3store.NewMemory()}
	w.random = w.source()
	w.net = newNetwork(w.source())
	w.ledger, w.guard, w.book = newLedger(w), newGuard(w), newBook()
	w.partitions = 2 + w.random.Int32N(4)
	for n := range 3 + w.random.IntN(3) {
		w.hosts = append(w.hosts, &host{w: w, at: node(n + 1), disk: newDisk()})
	}
	w.upgrade = newUpgrade(w)
	w.keep = []int64{0, 512 << 10, 64 << 20}[w.random.IntN(3)]
	ensembles := [][2]int{{3, 2}, {3, 2}, {2, 2}, {3, 3}}
	ensemble := ensembles[w.random.IntN(len(ensembles))]
	w.factor, w.quorum = ensemble[0], ensemble[1]
	w.log.add("seed %d: %d agents, %d partitions, keep_bytes %d, %d of %d", seed, len(w.hosts), w.partitions, w.keep, w.quorum, w.factor)
	return w
}

// source makes a source of randomness of its own for a part. The order of the calls
// is the driver's, so that it follows from the seed.
func (w *world) source() *rand.Rand {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams++
	return rand.New(rand.NewPCG(w.seed, w.streams))
}

// bytes is an endless reader.
type bytes struct{ pcg *rand.PCG }

func newBytes(seed uint64) *bytes { return &bytes{rand.NewPCG(seed, 1)} }

func (b *bytes) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], b.pcg.Uint64())
		copy(p[i:], word[:])
	}
	return len(p), nil
}

// fail notes a violation.
func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.log.add("VIOLATION %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, text)
}

func (w *world) failed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failures
}

// config is the product's default, with small files and short waits.
func (w *world) config(at node) agent.Config {
	c := agent.DefaultConfig()
	c.BrokerID, c.Rack, c.DataDir, c.HTTP = int32(at), fmt.Sprintf("rack-%d", at), "data", ""
	c.Listeners = []agent.Listener{{Name: "PLAINTEXT", Bind: fmt.Sprintf("%v:9092", at)},
		{Name: "SASL_PLAINTEXT", Bind: fmt.Sprintf("%v:9093", at), SASL: agent.ListenerSASL{Mechanisms: []string{sasl.ScramSHA256}, MaxReauth: maxReauth}}}
	c.Security.Tokens = token.Config{SecretFile: secretFile, MaxLifetime: 8 * time.Second, Expiry: 3 * time.Second}
	c.Security.Authorizer, c.Security.SuperUsers = agent.AuthorizerACL, []string{"User:" + administrator}
	c.Peer = agent.PeerConfig{Bind: fmt.Sprintf("%v:9645", at)}
	c.Replication.Factor, c.Replication.Quorum = w.factor, w.quorum
	c.Replication.ReplaceAfter, c.Replication.GatherFor = 4*time.Second, 2*time.Second
	c.Replication.IntakeBytes, c.Replication.SendBytes = 256<<10, 64<<10
	c.ShutdownTimeout = 10 * time.Second
	c.Journal.FileBytes, c.Journal.ChunkBytes, c.Journal.CacheBytes, c.Journal.KeepBytes = 256<<10, 64<<10, 512<<10, w.keep
	c.Journal.SoftBytes, c.Journal.HardBytes, c.Journal.ReserveBytes = 16<<20, 32<<20, 0
	c.Journal.ReadBytes, c.Journal.SpareBytes = 8<<20, 1<<20
	c.Upload.MaxAge, c.Upload.CheckEvery = 2*time.Second, 200*time.Millisecond
	c.Upload.RetryBase, c.Upload.RetryMax = 100*time.Millisecond, time.Second
	c.Groups.CommitTimeout = 2 * time.Second
	return c
}

// stage is what a run goes through; a violation ends it.
func (w *world) stage(name string, patience time.Duration, do func(ctx context.Context)) bool {
	if len(w.failed()) > 0 {
		return false
	}
	w.log.add("-- %s", name)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	do(ctx)
	if ctx.Err() != nil {
		w.fail("%s: not done after %v", name, patience)
	}
	return len(w.failed()) == 0
}

// run is a whole life of a cluster: it starts, works under faults, is healed, and
// everything is read, from the tier alone at last. done is called at the end of that.
func (w *world) run(faulty time.Duration, done func()) {
	defer w.end()
	defer done() // how the processes are ended is no part of the history
	for _, h := range w.hosts {
		h.start()
	}
	keeping, stopKeeping := context.WithCancel(context.Background())
	defer stopKeeping()
	w.running.Go(func() { w.upgrade.watch(keeping) })
	first := newClient(w, 0)
	defer first.close()
	people := newPeople(w)
	w.stage("give rights", time.Minute, people.begin)
	w.stage("start", time.Minute, func(ctx context.Context) { first.create(ctx, w.partitions) })
	clients := w.work(keeping)
	defer clients.close()
	people.work(keeping)
	defer people.close()
	w.stage("faults", faulty+time.Hour, func(ctx context.Context) { w.faults(ctx, faulty) })
	w.stage("heal", 5*time.Minute, func(ctx context.Context) { w.heal(ctx); people.finish(ctx); clients.finish(ctx) })
	w.stage("read everything", 5*time.Minute, func(ctx context.Context) { w.readAll(ctx, first) })
	w.stage("look who may do what", 2*time.Minute, people.check)
	w.stage("upload everything", 2*time.Minute, func(ctx context.Context) { w.awaitTier(ctx, first.topic) })
	w.stage("stop in order", 2*time.Minute, w.stopAll)
	w.stage("start on empty disks", 2*time.Minute, func(ctx context.Context) {
		tierOnly := w.journalsForgotten(ctx)
		w.log.add("empty disks: %v", tierOnly)
		for _, h := range w.hosts {
			if tierOnly {
				h.wipe()
			}
			h.boot()
		}
		w.readAll(ctx, first)
	})
	w.stage("look again who may do what", 2*time.Minute, people.check)
	w.log.add("%v; %v; %v", w.ledger, w.guard, w.upgrade)
}

// readAll reads the whole log and checks it.
func (w *world) readAll(ctx context.Context, c *client) {
	w.reviving(ctx, func() {
		for p := range w.partitions {
			r := &consumer{c: c, name: "the last reader", partition: p}
			c.suspect(p)
			if !r.drain(ctx, w.ledger.end(p)) {
				return
			}
		}
		w.ledger.check(w.partitions)
	})
}

// reviving does something while agents that end by themselves are started again.
func (w *world) reviving(ctx context.Context, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	for {
		select {
		case <-done:
			return
		case <-time.After(200 * time.Millisecond):
			for _, h := range w.hosts {
				h.revive()
			}
		}
	}
}

// awaitTier waits until the tier has all that was acknowledged or read.
func (w *world) awaitTier(ctx context.Context, topic [16]byte) {
	m := w.meta.Open()
	defer m.Close()
	w.reviving(ctx, func() {
		for ctx.Err() == nil {
			kvs, _, err := m.List(ctx, schema.PrefixHeads)
			behind := err != nil
			for _, kv := range kvs {
				at, _ := schema.ParseHeadKey(kv.Key)
				h, err := schema.DecodeHead(kv.Value)
				end := w.guard.last()
				if at.Topic == id.Topic(topic) {
					end = w.ledger.end(at.Index)
				}
				behind = behind || err != nil || h.TieredEnd < end
			}
			if !behind && len(kvs) == int(w.partitions)+1 {
				return
			}
			_ = backoff.Sleep(ctx, 100*time.Millisecond)
		}
	})
}

// journalsForgotten reports whether etcd names no journal any more: then the tier alone
// has everything. A journal that is named is looked for on disks.
func (w *world) journalsForgotten(ctx context.Context) bool {
	m := w.meta.Open()
	defer m.Close()
	kvs, _, err := m.List(ctx, schema.PrefixJournals)
	if err != nil {
		return false
	}
	for _, kv := range kvs {
		if rec, err := schema.DecodeJournal(kv.Value); err != nil || rec.State != schema.JournalSealed || rec.End > 0 {
			return false
		}
	}
	return true
}

// setEtcdAway begins a fault that takes etcd away from all, or ends one.
func (w *world) setEtcdAway(yes bool) {
	before := w.away
	if w.away++; !yes {
		w.away -= 2
	}
	if (before > 0) == (w.away > 0) {
		return
	}
	w.meta.SetAvailable(!yes)
	for _, h := range w.hosts {
		if l := h.now(); l != nil {
			l.reach.set(!yes)
		}
	}
}

// stopAll stops all agents at once.
func (w *world) stopAll(context.Context) {
	for _, h := range w.hosts {
		if l := h.now(); l != nil {
			l.stop()
		}
	}
	for _, h := range w.hosts {
		if !h.retire(time.Minute) {
			w.fail("%v did not end within a minute", h)
		}
	}
}

// end takes everything down and waits for it.
func (w *world) end() {
	for _, h := range w.hosts {
		h.kill(false)
	}
	w.running.Wait()
}
