package agent

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"varve/internal/backoff"
	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata"
	"varve/metadata/schema"
)

// registration shows this agent to the others, and so to clients, as long as its session
// lives. It takes a new session when one is lost.
type registration struct {
	*process
	inc      id.Incarnation
	seen     *metadata.Seen
	describe func() schema.Agent // what is shown
	session  atomic.Pointer[metadata.Session]
	revision atomic.Int64 // of this agent's key
	leaving  atomic.Bool  // this agent was told to stop
}

// newRegistration takes a session. Nothing is shown to others before announce.
func newRegistration(ctx context.Context, p *process, inc id.Incarnation, seen *metadata.Seen, describe func() schema.Agent) (*registration, error) {
	s, err := p.deps.Meta.Session(ctx, p.cfg.SessionTTL)
	if err != nil {
		return nil, err
	}
	r := &registration{process: p, inc: inc, seen: seen, describe: describe}
	r.session.Store(&s)
	return r, nil
}

// announce writes the agent's key, which goes with its session.
func (r *registration) announce(ctx context.Context) (metadata.Revision, error) {
	for {
		rev, err := r.announceOnce(ctx)
		if !errors.Is(err, metadata.ErrConflict) {
			return rev, err
		} // what it was guarded by is read again
	}
}

func (r *registration) announceOnce(ctx context.Context) (metadata.Revision, error) {
	me := r.describe()
	me.Incarnation, me.Leaving = r.inc, r.leaving.Load()
	key := schema.AgentKey(r.self)
	kv, err := r.deps.Meta.Get(ctx, key)
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return 0, err
	}
	if err == nil { // perhaps an earlier try whose answer was lost
		old, err := schema.DecodeAgent(kv.Value)
		if err != nil {
			return 0, fmt.Errorf("%w: broker_id %v: %w", errTaken, r.self, err)
		}
		if old.Incarnation != r.inc {
			return 0, fmt.Errorf("%w: broker_id %v is that of the agent at %s (incarnation %v) by now; give each agent a broker_id of its own", errTaken, r.self, where(&old), old.Incarnation)
		}
	}
	level, err := r.checkLevel(ctx)
	if err != nil {
		return 0, err
	}
	member, err := r.membership(ctx, &me)
	if err != nil {
		return 0, err
	}
	before := r.seen.Newest()
	rev, err := r.deps.Meta.Txn(ctx, append(level, metadata.Guard{Key: key, Mod: kv.Mod}), metadata.PutLeased(key, me.Encode(), r.lease().Lease()),
		metadata.PutLeased(schema.LevelsKey(r.self), r.deps.Levels.Encode(), r.lease().Lease()), metadata.Put(schema.MemberKey(r.self), member.Encode()))
	if err != nil {
		return 0, err
	}
	r.revision.Store(int64(rev))
	if err := r.seen.Confirm(before, rev, r.log, r.die); errors.Is(err, metadata.ErrOlder) {
		return 0, err
	}
	return rev, nil // a disk that can't note that is no reason to stay hidden
}

// checkLevel returns an errLevel if this agent doesn't know the cluster's level or the announced one.
// Otherwise it returns the guard that keeps this true for a registration.
func (r *registration) checkLevel(ctx context.Context) ([]metadata.Guard, error) {
	kv, err := r.deps.Meta.Get(ctx, schema.KeyCluster)
	if err != nil {
		return nil, err
	}
	c, err := schema.DecodeCluster(kv.Value)
	if err == nil {
		if mutate.On(mutate.JoinPrepared) {
			c.Next = 0
		}
		err = r.deps.Levels.Check(c)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLevel, err)
	}
	if mutate.On(mutate.RegisterUnguarded) {
		return nil, nil
	}
	return []metadata.Guard{{Key: schema.KeyCluster, Mod: kv.Mod}}, nil
}

// membership is what is to be kept of this agent when it is gone.
func (r *registration) membership(ctx context.Context, me *schema.Agent) (m schema.Member, err error) {
	kv, err := r.deps.Meta.Get(ctx, schema.MemberKey(r.self))
	if err == nil {
		m, err = schema.DecodeMember(kv.Value)
	}
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return m, err
	}
	m.Registered, m.Leaving, m.Version, m.HTTP = r.deps.Now(), me.Leaving, me.Version, me.HTTP
	m.Moved(schema.StoreAt{Store: me.Store, Incarnation: me.Incarnation, Host: me.Host()})
	return m, nil
}

// errTaken ends an agent whose place was taken by another.
var errTaken = errors.New("another agent has the broker id")

// errLevel ends an agent whose build doesn't know the cluster's level.
var errLevel = errors.New("this build can't serve in the cluster")

// keep takes a new session when one was lost. That is no death: the
// agent owns what no one took meanwhile, which its guarded writes find out.
func (r *registration) keep(life context.Context) {
	for {
		select {
		case <-r.lease().Lost():
		case <-life.Done():
			return
		}
		r.log.Warn("etcd session lost, opening a new one")
		for {
			err := r.again(life)
			if err == nil {
				r.log.Info("registered again")
				break
			}
			if life.Err() != nil {
				return
			}
			if errors.Is(err, errTaken) || errors.Is(err, errLevel) {
				r.die(err)
				return
			}
			r.log.Warn("registration failed, retrying", "err", err)
			if backoff.Sleep(life, 200*time.Millisecond) != nil {
				return
			}
		}
	}
}

// lease is the present session.
func (r *registration) lease() metadata.Session { return *r.session.Load() }

func (r *registration) again(ctx context.Context) error {
	s, err := r.deps.Meta.Session(ctx, r.cfg.SessionTTL)
	if err != nil {
		return err
	}
	r.session.Store(&s)
	if _, err = r.announce(ctx); err != nil && !errors.Is(err, errTaken) {
		_ = s.Close(ctx) // it ends by itself too
	}
	return err
}

// leave lets the others know that this agent stops.
func (r *registration) leave(ctx context.Context) error {
	r.leaving.Store(true)
	_, err := r.announce(ctx)
	return err
}

// end lets the others know at once that this agent is gone.
func (r *registration) end(ctx context.Context) {
	if err := r.lease().Close(ctx); err != nil {
		r.log.Debug("lease not revoked, it will expire", "err", err)
	}
}
