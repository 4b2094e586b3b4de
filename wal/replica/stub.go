package replica

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/wal"
)

type Config struct {
	MaxLagBytes int64 `yaml:"max_lag_bytes" doc:"x"`
}

func DefaultConfig() Config        { return Config{256 << 20} }
func (c Config) Validate() error   { return nil }

type Deps struct {
	Store       *wal.Store
	Cluster     string
	Incarnation id.Incarnation
	Broker      id.Broker
	Log         *slog.Logger
	Registry    prometheus.Registerer
	Dial        func(ctx context.Context, addr string) (net.Conn, error)
	Resolve     func(id.Store) (string, bool)
	Lost        func(id.Store, error)
}
type Node struct{ d Deps }

func Open(c Config, d Deps) (*Node, error)                        { return &Node{d}, nil }
func (n *Node) Serve(ctx context.Context, l net.Listener) error { <-ctx.Done(); return l.Close() }
func (n *Node) Close()                                            {}
func (n *Node) Create(ctx context.Context, j id.Journal, m []id.Store, q int) (*wal.Writer, error) {
	if err := n.d.Store.Join(j); err != nil {
		return nil, err
	}
	return n.d.Store.Create(j, nil)
}

var errRemote = errors.New("remote")

func (n *Node) Ping(ctx context.Context, s id.Store) (id.Incarnation, error) {
	if s == n.d.Store.ID() {
		return n.d.Incarnation, nil
	}
	return 0, errRemote
}
func (n *Node) Fence(ctx context.Context, s id.Store, j id.Journal, e uint64) (uint64, error) {
	if s != n.d.Store.ID() {
		return 0, errRemote
	}
	if err := n.d.Store.Fence(j, e); err != nil {
		return 0, err
	}
	return n.d.Store.Recover(j)
}
func (n *Node) Copy(ctx context.Context, j id.Journal, e uint64, from, to id.Store, upTo uint64) error {
	return errRemote
}
func (n *Node) Seal(ctx context.Context, s id.Store, j id.Journal, end uint64) error {
	if j.Writer != n.d.Incarnation {
		if _, err := n.d.Store.Recover(j); err != nil {
			return err
		}
	}
	return n.d.Store.Seal(j, end)
}
func (n *Node) Drop(ctx context.Context, s id.Store, j id.Journal) error {
	if _, ok := n.d.Store.Sealed(j); !ok {
		if err := n.d.Store.Seal(j, 0); err != nil {
			return err
		}
	}
	n.d.Store.Drop(j)
	return nil
}
func (n *Node) ReadAt(ctx context.Context, s id.Store, j id.Journal, p []byte, pos wal.Pos) error {
	return errRemote
}
func (n *Node) Entries(ctx context.Context, s id.Store, j id.Journal, end uint64, each func(*wal.Entry) error) error {
	if s != n.d.Store.ID() {
		return errRemote
	}
	if _, ok := n.d.Store.Sealed(j); !ok {
		return errors.New("not sealed")
	}
	if j.Writer != n.d.Incarnation {
		if _, err := n.d.Store.Recover(j); err != nil {
			return err
		}
	}
	return n.d.Store.Entries(j, each)
}
func (n *Node) Trim(j id.Journal, pos wal.Pos, number uint64) {
	n.d.Store.TrimBefore(j, pos, number)
}
