package replica

import (
	"context"
	"log/slog"
	"net"

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
	// Take takes what other agents give to this one, see Node.Give; nil: nothing. It must not
	// keep the body. An answer has at most MaxTold bytes.
	Take func(ctx context.Context, what uint32, body []byte) ([]byte, error)
}

// Node is this agent's part in replication: it serves its store to others, asks theirs, and
// replicates the journals that it creates.
type Node struct {
	*Peers
	endpoint *endpoint
	tasks    *tasks
	written  *written
	server   *server
}

// Open makes a Node; Serve lets others in.
func Open(cfg Config, d Deps) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	own, m, ts, w := d.Store.ID(), newMetrics(d.Registry), newTasks(), newWritten()
	out := &endpoint{cfg: &cfg, deps: &d, own: own, metrics: m, ctx: ts.ctx}
	r := newRemote(out)
	l := &local{deps: &d, metrics: m, remote: r, written: w}
	if d.Registry != nil {
		d.Registry.MustRegister(lagCollector{w, &d})
	}
	ps := &Peers{own: own, local: l, remote: r, metrics: m}
	return &Node{Peers: ps, endpoint: out, tasks: ts, written: w, server: newServer(out, ts, l)}, nil
}

// Memory returns how many bytes what arrives of others' journals may take now.
func (n *Node) Memory() int64 { return n.server.memory() }

// Serve lets other agents in until ctx ends or the listener fails. It closes the
// listener.
func (n *Node) Serve(ctx context.Context, l net.Listener) error { return n.server.serve(ctx, l) }

// Close ends all connections and waits for what serves them. Writers must be closed
// before: what members had not acknowledged stays unacknowledged.
func (n *Node) Close() {
	n.remote.refuse()
	n.tasks.close()
	n.remote.close()
}

// Changed returns a channel that is closed when something changed that Members shows:
// a member was lost, came back, fell behind or caught up, or refuses. Take it before
// looking.
func (n *Node) Changed() <-chan struct{} { return n.written.changes() }
