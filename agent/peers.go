package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"varve/controller"
	"varve/coordinator"
	"varve/internal/id"
	"varve/metadata"
	"varve/wal/replica"
)

// addresses remembers where stores could last be reached: an agent that lost its
// session can still be asked whether it lives.
type addresses struct{ m sync.Map } // id.Store -> string

func (k *addresses) note(s id.Store, addr string) {
	if addr != "" {
		k.m.Store(s, addr)
	}
}

func (k *addresses) get(s id.Store) (string, bool) {
	addr, ok := k.m.Load(s)
	if !ok {
		return "", false
	}
	return addr.(string), true
}

// resolve returns where a store's agent is, or was last.
func (a *Agent) resolve(s id.Store) (string, bool) {
	if live, ok := a.view.Store(s); ok && live.Peer != "" {
		a.known.note(s, live.Peer)
		return live.Peer, true
	}
	return a.known.get(s)
}

// listenPeers takes the address for other agents, if one is configured.
func (a *Agent) listenPeers() error {
	if a.cfg.Peer.Bind == "" {
		return nil
	}
	l, err := a.deps.Listen("tcp", a.cfg.Peer.Bind)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	a.peerListener = l
	if a.cfg.Peer.TLS.On() {
		if a.peerTLS, err = a.cfg.Peer.TLS.Load(a.deps.FS); err != nil {
			return err
		}
		a.peerListener = a.peerTLS.Listener(l)
	}
	e, err := a.cfg.advertise(Listener{Name: "peer", Bind: a.cfg.Peer.Bind, Advertised: a.cfg.Peer.Advertised}, l.Addr().String())
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	a.peerAddr = net.JoinHostPort(e.Host, fmt.Sprint(e.Port))
	return nil
}

// openPeers makes this agent's journals and those of the others reachable for each
// other.
func (a *Agent) openPeers(_, life context.Context) error {
	dial := a.deps.Dial
	if a.peerTLS != nil {
		dial = a.peerTLS.Dial(dial)
	}
	node, err := replica.Open(a.cfg.Replication.Config, replica.Deps{
		Store: a.store, Cluster: a.id, Incarnation: a.inc, Broker: a.self, Dial: dial, Resolve: a.resolve, Home: a.view.Home, Lost: a.peerLost, Tell: a.inspect.tell,
		Log: a.log.With("part", "replica"), Registry: a.deps.Registry,
	})
	if err != nil {
		return err
	}
	a.peers = node
	a.tails = replica.NewTails(a.store, node, a.deps.Now)
	if a.peerListener != nil {
		a.run(func() {
			if err := node.Serve(life, a.peerListener); err != nil && life.Err() == nil {
				a.die(fmt.Errorf("peer listener: %w", err))
			}
		})
	}
	return nil
}

// peerLost is told that the connection to a store's agent ended. An agent whose
// process is gone refuses connections: then its session is ended at once, without
// waiting for its lease. Fencing makes a mistake harmless.
func (a *Agent) peerLost(s id.Store, cause error) {
	live, ok := a.view.Store(s)
	if !ok || live.Incarnation == a.inc {
		return
	}
	if _, ended := a.revoked.Load(live.Lease); ended {
		return // the picture lags
	}
	if _, busy := a.probing.LoadOrStore(live.Incarnation, true); busy {
		return
	}
	a.run(func() {
		defer a.probing.Delete(live.Incarnation)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for ctx.Err() == nil {
			found, err := a.peers.Ping(ctx, s)
			if err == nil && found == live.Incarnation {
				return
			}
			if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return // silent: its lease decides
			}
		}
		ctx, cancel = context.WithTimeout(context.Background(), askPatience)
		defer cancel()
		if err := a.deps.Meta.Revoke(ctx, live.Lease); err == nil { // else once more when it is next found gone
			a.revoked.Store(live.Lease, true)
			a.log.Info("process of another agent is gone, its session was ended", "broker", live.Broker, "incarnation", live.Incarnation, "cause", cause)
		}
	})
}

// runController stands for election.
func (a *Agent) runController(life context.Context) {
	a.control = controller.New(controller.Deps{
		Self: a.self, Incarnation: a.inc, View: a.view, Editor: a.editor, Store: a.deps.Meta, Writer: a.heads, Peers: a.peers, Slots: coordinator.Slots,
		Lease: func() metadata.Lease { return a.lease().Lease() }, Grace: a.cfg.SessionTTL,
		Log: a.log.With("part", "controller"), Registry: a.deps.Registry,
	})
	var ctx context.Context
	ctx, a.stopControl = context.WithCancel(life)
	a.controlling.Go(func() { a.control.Run(ctx) })
	a.controlling.Go(func() {
		metadata.KeepHistory(ctx, a.deps.Meta, a.cfg.Metadata.KeepHistory, a.control.Active, a.log.With("part", "metadata"))
	})
}
