package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"varve/health"
	"varve/internal/backoff"
	"varve/internal/id"
	"varve/internal/mutate"
	"varve/metadata"
	"varve/metadata/schema"
)

// ErrLevel: the cluster can't be finalized at a level.
var ErrLevel = errors.New("the cluster can't be finalized at this level")

// Finalize raises the cluster's level (KIP-584). From then on agents may write formats that builds
// without the level can't read, and such builds can't join any more. It returns an ErrLevel that names
// the agents concerned while an agent doesn't know the level, or an expected agent is away. With dryRun
// it changes nothing. It returns the former level.
//
// If it has to be refused it writes nothing. Otherwise it first announces the level in the cluster's
// record. Registrations are guarded by that record, so no agent that doesn't know the level can register
// any more. Then it lists the agents again, and raises the level or withdraws the announcement. If it is
// interrupted, the next Finalize completes or withdraws the announcement.
func (e *Editor) Finalize(ctx context.Context, to uint8, dryRun bool) (from uint8, err error) {
	again := backoff.Retry{Policy: backoff.Policy{Base: 50 * time.Millisecond, Max: 2 * time.Second}, Random: e.random}
	for {
		kv, err := e.store.Get(ctx, schema.KeyCluster)
		if err != nil {
			return 0, fmt.Errorf("read the cluster's level: %w", err)
		}
		c, err := schema.DecodeCluster(kv.Value)
		if err != nil {
			return 0, err
		}
		from = c.Level
		switch {
		case to == c.Level && c.Next == 0:
			return from, e.view.Await(ctx, schema.KeyCluster, kv.Mod)
		case to < c.Level:
			return from, Refuse(ErrLevel, "the cluster is at level %d and can't go back to %d", c.Level, to)
		case to > e.view.Levels.Known.Max:
			return from, Refuse(ErrLevel, "level %d is not known: this agent knows %v", to, e.view.Levels.Known)
		case dryRun:
			return from, e.allKnow(ctx, to)
		}
		if c.Next == 0 && !mutate.On(mutate.FinalizeAtOnce) { // nothing is to be announced, even for a moment, that keeps agents out for no use
			if err := e.allKnow(ctx, to); err != nil {
				return from, err
			}
		}
		rev := kv.Mod
		if !mutate.On(mutate.FinalizeAtOnce) {
			rev, err = e.putCluster(ctx, c, c.Level, to, kv.Mod)
		}
		var late error
		if err == nil {
			late = e.allKnow(ctx, to)
			if late == nil {
				rev, err = e.putCluster(ctx, c, to, 0, rev)
			} else {
				rev, err = e.withdraw(ctx, c, rev)
			}
		}
		if errors.Is(err, metadata.ErrConflict) {
			if err := again.Wait(ctx); err != nil { // another one finalizes: in step, neither would ever get on
				return from, err
			}
			continue
		}
		if err = errors.Join(late, err); err != nil {
			return from, err
		}
		return from, e.view.Await(ctx, schema.KeyCluster, rev)
	}
}

// withdrawTimeout bounds withdraw, which goes on when its caller's context has ended.
const withdrawTimeout = 5 * time.Second

// withdraw removes an announcement, which would keep agents out.
func (e *Editor) withdraw(ctx context.Context, c schema.Cluster, mod metadata.Revision) (metadata.Revision, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	return e.putCluster(ctx, c, c.Level, 0, mod)
}

// putCluster changes the cluster's level and the one that is announced.
func (e *Editor) putCluster(ctx context.Context, c schema.Cluster, level, next uint8, mod metadata.Revision) (metadata.Revision, error) {
	c.Level, c.Next = level, next
	rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: schema.KeyCluster, Mod: mod}}, metadata.Put(schema.KeyCluster, c.Encode()))
	if err != nil {
		return 0, fmt.Errorf("store the cluster's level: %w", err)
	}
	return rev, nil
}

// allKnow returns an ErrLevel if a live agent doesn't know a level, or an expected agent isn't live.
func (e *Editor) allKnow(ctx context.Context, level uint8) error {
	live, err := listed(ctx, e.store, schema.PrefixAgents, schema.ParseAgentKey) // first: who registers later knows it
	if err != nil {
		return err
	}
	levels, err := listed(ctx, e.store, schema.PrefixLevels, schema.ParseLevelsKey)
	if err != nil {
		return err
	}
	members, err := listed(ctx, e.store, schema.PrefixMembers, schema.ParseMemberKey)
	if err != nil {
		return err
	}
	drained, err := listed(ctx, e.store, schema.PrefixDrained, schema.ParseDrainKey)
	if err != nil {
		return err
	}
	var old, away []id.Broker
	for b := range live {
		l := oldLevels
		if value, tells := levels[b]; tells {
			if l, err = schema.DecodeLevels(value); err != nil {
				return fmt.Errorf("the levels of agent %v: %w", b, err)
			}
		}
		if level < l.Min || level > l.Max {
			old = append(old, b)
		}
	}
	for b, value := range members {
		m, err := schema.DecodeMember(value)
		if err != nil {
			return fmt.Errorf("what is kept of agent %v: %w", b, err)
		}
		_, alive := live[b]
		_, out := drained[b]
		if a := (health.Agent{Live: alive, Drained: out, Stopped: m.Leaving}); !alive && a.Expected() {
			away = append(away, b)
		}
	}
	var why []string
	if len(old) > 0 {
		why = append(why, fmt.Sprintf("agents that don't know it: %s; give them a newer build", numbers(old)))
	}
	if len(away) > 0 {
		why = append(why, fmt.Sprintf("agents that are away: %s; start them, or run 'varve cluster forget' for those that won't come back", numbers(away)))
	}
	if why == nil {
		return nil
	}
	return Refuse(ErrLevel, "the cluster can't be finalized at level %d. There are %s", level, strings.Join(why, ". There are "))
}

// listed returns the values of one kind of records by agent.
func listed(ctx context.Context, store metadata.Store, prefix string, parse func(string) (id.Broker, error)) (map[id.Broker][]byte, error) {
	kvs, _, err := store.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	out := make(map[id.Broker][]byte, len(kvs))
	for _, kv := range kvs {
		b, err := parse(kv.Key)
		if err != nil {
			return nil, err
		}
		out[b] = kv.Value
	}
	return out, nil
}

// maxNamed is how many agents a refusal names.
const maxNamed = 20

// numbers joins the numbers of agents, in order.
func numbers(all []id.Broker) string {
	slices.Sort(all)
	var names []string
	for _, b := range all[:min(len(all), maxNamed)] {
		names = append(names, b.String())
	}
	if len(all) > maxNamed {
		names = append(names, fmt.Sprintf("and %d others", len(all)-maxNamed))
	}
	return strings.Join(names, ", ")
}
