package replica

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/wal"
)

// Deps are what a Node needs from outside.
type Deps struct {
	Store       *wal.Store
	Cluster     string // agents of another cluster are refused
	Incarnation id.Incarnation
	Broker      id.Broker
	Log         *slog.Logger
	Registry    prometheus.Registerer // nil: no metrics are registered
	// Dial connects to an agent's replication listener.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Resolve returns the address of the agent that has the store; false: no one does.
	Resolve func(id.Store) (addr string, ok bool)
	// Home returns the broker that has a store, or had it last, for metrics; nil: not known.
	Home func(id.Store) (id.Broker, bool)
	// Lost is called when a connection with the agent of that store ended, or could not
	// be made, without being closed here: reset, refused, silent. It must not block.
	Lost func(id.Store, error)
	// Tell answers what other agents ask of this one beside its store, see Node.Tell; nil:
	// nothing. An answer has at most MaxTold bytes.
	Tell func(ctx context.Context, what uint32) ([]byte, error)
}

// Node is this agent's part in replication: it serves its store to others, and
// replicates the journals that it creates.
type Node struct {
	cfg     Config
	d       Deps
	own     id.Store
	local   *local
	metrics *metrics

	ctx  context.Context // ends at Close
	stop context.CancelFunc
	done sync.WaitGroup

	mu struct {
		sync.Mutex
		closed   bool
		journals map[id.Journal]*journal // that this agent writes, or wrote last
		streams  map[id.Journal]*conn    // that this store follows
		pools    map[id.Store]*pool      // of call connections
		changed  chan struct{}           // closed and replaced, see Changed
		conns    int
		warned   time.Time // when a refusal was last logged
	}
}

// Open makes a Node; Serve lets others in.
func Open(cfg Config, d Deps) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, d: d, own: d.Store.ID()}
	n.local = &local{n}
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.mu.journals = map[id.Journal]*journal{}
	n.mu.streams = map[id.Journal]*conn{}
	n.mu.pools = map[id.Store]*pool{}
	n.mu.changed = make(chan struct{})
	n.metrics = newMetrics(d.Registry, n)
	return n, nil
}

// Memory returns how many bytes what arrives of others' journals may take now.
func (n *Node) Memory() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return int64(len(n.mu.streams)) * 2 * n.cfg.IntakeBytes
}

// Close ends all connections and waits for what serves them. Writers must be closed
// before: what members had not acknowledged stays unacknowledged.
func (n *Node) Close() {
	n.mu.Lock()
	n.mu.closed = true
	n.mu.Unlock()
	n.stop()
	n.done.Wait()
	n.mu.Lock()
	pools := n.mu.pools
	n.mu.pools = nil
	n.mu.Unlock()
	for _, p := range pools {
		p.close()
	}
}

// run starts a goroutine that Close waits for, unless the node is closed.
func (n *Node) run(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return false
	}
	n.done.Add(1)
	go func() {
		defer n.done.Done()
		f()
	}()
	return true
}

// Changed returns a channel that is closed when something changed that Members shows:
// a member was lost, came back, fell behind or caught up, or refuses. Take it before
// looking.
func (n *Node) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.changed
}

func (n *Node) touch() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.mu.changed)
	n.mu.changed = make(chan struct{})
}

// lost reports the end of a connection that this side did not close.
func (n *Node) lost(s id.Store, err error) {
	if n.ctx.Err() != nil {
		return
	}
	n.metrics.lost.Inc()
	if n.d.Lost != nil {
		n.d.Lost(s, err)
	}
}

// journals are those that this agent writes.
func (n *Node) journals() (all []*journal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, j := range n.mu.journals {
		all = append(all, j)
	}
	return all
}

func (n *Node) journal(j id.Journal) *journal {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.journals[j]
}
