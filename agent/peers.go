package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"varve/cluster"
	"varve/internal/backoff"
	"varve/internal/id"
	"varve/wal"
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

// neighbours are the other agents: their journals, and where they are.
type neighbours struct {
	*process
	inc   id.Incarnation
	view  *cluster.View
	peers *replica.Node
	tails *replica.Tails

	known   addresses
	probing sync.Map // incarnations that are being asked whether they live
	revoked sync.Map // leases that this agent ended
}

// openNeighbours makes this agent's journals and those of the others reachable for each
// other; tell answers what they ask, and take takes what they give.
func openNeighbours(p *process, m *member, store *wal.Store, tls *replica.TLS, tell func(context.Context, uint32) ([]byte, error), take func(context.Context, uint32, []byte) ([]byte, error)) (_ *neighbours, err error) {
	dial := p.deps.Dial
	if tls != nil {
		dial = tls.Dial(dial)
	}
	n := &neighbours{process: p, inc: m.inc, view: m.view}
	n.peers, err = replica.Open(p.cfg.Replication.Config, replica.Deps{
		Store: store, Cluster: m.id, Incarnation: m.inc, Broker: p.self, Dial: dial, Resolve: n.resolve, Home: m.view.Home, Lost: n.lost, Tell: tell, Take: take,
		Log: p.log.With("part", "replica"), Registry: p.deps.Registry,
	})
	if err != nil {
		return nil, err
	}
	n.tails = replica.NewTails(store, n.peers, p.deps.Now)
	return n, nil
}

// follow notes where others are, at every change of the view, until ctx ends.
func (n *neighbours) follow(ctx context.Context) {
	for {
		changed := n.view.Changed()
		for _, l := range n.view.Agents() {
			n.known.note(l.Store, l.Peer)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// resolve returns where a store's agent is, or was last.
func (n *neighbours) resolve(s id.Store) (string, bool) {
	if live, ok := n.view.Store(s); ok && live.Peer != "" {
		n.known.note(s, live.Peer)
		return live.Peer, true
	}
	return n.known.get(s)
}

// revokePatience bounds the request to etcd that ends a peer's session.
const revokePatience = time.Second

// lost is called when the connection to a store's agent ended. An agent whose
// process is gone refuses connections: then its session is ended at once, without
// waiting for its lease. Fencing makes a mistake harmless.
func (n *neighbours) lost(s id.Store, cause error) {
	live, ok := n.view.Store(s)
	if !ok || live.Incarnation == n.inc {
		return
	}
	if _, ended := n.revoked.Load(live.Lease); ended {
		return // the picture lags
	}
	if _, busy := n.probing.LoadOrStore(live.Incarnation, true); busy {
		return
	}
	n.run(func() {
		defer n.probing.Delete(live.Incarnation)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for ctx.Err() == nil {
			found, err := n.peers.Ping(ctx, s)
			if err == nil && found == live.Incarnation {
				return
			}
			if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			if backoff.Sleep(ctx, 50*time.Millisecond) != nil {
				return // silent: its lease decides
			}
		}
		ctx, cancel = context.WithTimeout(context.Background(), revokePatience)
		defer cancel()
		if err := n.deps.Meta.Revoke(ctx, live.Lease); err == nil { // else again when it is next found gone
			n.revoked.Store(live.Lease, true)
			n.log.Info("process of another agent is gone, its session was ended", "broker", live.Broker, "incarnation", live.Incarnation, "cause", cause)
		}
	})
}

// ends asks all live agents where the partitions that they lead end. What an agent says of a
// partition that another one owns by now is left out.
func (n *neighbours) ends(ctx context.Context) map[id.Partition]int64 {
	ctx, cancel := context.WithTimeout(ctx, askAgentFor)
	defer cancel()
	out := map[id.Partition]int64{}
	owners := n.view.Owners()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, l := range n.view.Agents() {
		wg.Go(func() {
			b, err := n.peers.Tell(ctx, l.Store, tellEnds)
			if err != nil {
				return // its partitions have no known end
			}
			theirs := map[id.Partition]int64{}
			if err := decodeEnds(b, theirs); err != nil {
				n.log.Debug("log end offsets of another agent not read", "broker", l.Broker, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			keepOwned(out, theirs, owners, l.Incarnation)
		})
	}
	wg.Wait()
	return out
}

// openPeers makes the journals of this agent and of the others reachable for each other.
func (a *Agent) openPeers(_, life context.Context) (err error) {
	takes := &taker{a.process, a.view, a.owned}
	if a.near, err = openNeighbours(a.process, a.member, a.store, a.doors.tls, a.tell, takes.take); err != nil || a.doors.peer == nil {
		return err
	}
	a.run(func() {
		if err := a.near.peers.Serve(life, a.doors.peer); err != nil && life.Err() == nil {
			a.die(fmt.Errorf("peer listener: %w", err))
		}
	})
	return nil
}
