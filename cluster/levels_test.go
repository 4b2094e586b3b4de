package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// leveled is a cluster at level 3 with agents.
type leveled struct {
	*testing.T
	*Editor
	ctx context.Context
}

func withLevels(t *testing.T, f func(l *leveled)) {
	withEditor(t, func(ctx context.Context, e *Editor, _ *View) {
		l := &leveled{t, e, ctx}
		l.put(metadata.Put(schema.KeyCluster, schema.Cluster{ID: "c", Level: 3}.Encode()))
		f(l)
	})
}

func (l *leveled) put(ops ...metadata.Op) {
	l.Helper()
	if _, err := l.store.Txn(l.ctx, nil, ops...); err != nil {
		l.Fatal(err)
	}
}

// agent registers an agent that knows the levels up to max, or one of a build that tells none.
func (l *leveled) agent(b id.Broker, max uint8) {
	ops := []metadata.Op{metadata.Put(schema.AgentKey(b), schema.Agent{Incarnation: 1}.Encode()), metadata.Put(schema.MemberKey(b), schema.Member{}.Encode())}
	if max > 0 {
		ops = append(ops, metadata.Put(schema.LevelsKey(b), schema.Levels{Min: 3, Max: max}.Encode()))
	}
	l.put(ops...)
}

func (l *leveled) record() schema.Cluster {
	l.Helper()
	kv, err := l.store.Get(l.ctx, schema.KeyCluster)
	if err != nil {
		l.Fatal(err)
	}
	c, err := schema.DecodeCluster(kv.Value)
	if err != nil {
		l.Fatal(err)
	}
	return c
}

// The level rises when all agents know it. Otherwise nothing changes, and the error names the agents
// that don't know it and those that are away.
func TestFinalizeNeedsAllAgents(t *testing.T) {
	withLevels(t, func(l *leveled) {
		l.agent(1, 4)
		l.agent(2, 0)
		l.agent(3, 4)
		l.agent(12, 3)
		l.put(metadata.Delete(schema.AgentKey(3)), metadata.Put(schema.DrainKey(3), schema.Drain{}.Encode()), // drained, and died
			metadata.Put(schema.MemberKey(4), schema.Member{Leaving: true}.Encode()), metadata.Put(schema.DrainKey(4), schema.Drain{}.Encode())) // drained, and stopped
		before, err := l.store.Get(l.ctx, schema.KeyCluster)
		if err != nil {
			t.Fatal(err)
		}
		for _, dry := range []bool{true, false} {
			_, err := l.Finalize(l.ctx, 4, dry)
			if !errors.Is(err, ErrLevel) || !strings.Contains(err.Error(), "don't know it: 2, 12;") || !strings.Contains(err.Error(), "are away: 3;") {
				t.Errorf("dry run %v: %v", dry, err)
			}
			if kv, err := l.store.Get(l.ctx, schema.KeyCluster); err != nil || kv.Mod != before.Mod { // even for a moment: it would keep agents out
				t.Errorf("dry run %v: the record was written: %v", dry, err)
			}
		}
		synctest.Wait()
		if highest := l.view.Levels.Highest(); highest != 3 {
			t.Errorf("all know %d", highest)
		}
		l.agent(2, 4)
		l.agent(12, 4)
		l.put(metadata.Delete(schema.MemberKey(3)))
		if before, err := l.Finalize(l.ctx, 4, true); before != 3 || err != nil || l.record().Level != 3 {
			t.Errorf("before %d, %v, %+v", before, err, l.record())
		}
		if before, err := l.Finalize(l.ctx, 4, false); before != 3 || err != nil {
			t.Errorf("before %d, %v", before, err)
		}
		if now, _ := l.view.Levels.Cluster(); now.Level != 4 || now.Next != 0 || l.record() != now {
			t.Errorf("%+v is shown, %+v is stored", now, l.record())
		}
		if before, err := l.Finalize(l.ctx, 4, false); before != 4 || err != nil {
			t.Errorf("again: before %d, %v", before, err)
		}
		for _, level := range []uint8{3, 5} {
			if _, err := l.Finalize(l.ctx, level, false); !errors.Is(err, ErrLevel) {
				t.Errorf("level %d: %v", level, err)
			}
		}
	})
}

// interrupted is a store that fails from one write on.
type interrupted struct {
	metadata.Store
	writes int
}

func (s *interrupted) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	if s.writes == 0 {
		return 0, metadata.ErrUnavailable
	}
	s.writes--
	return s.Store.Txn(ctx, guards, ops...)
}

// An interrupted finalization is completed or withdrawn by the next one.
func TestFinalizeIsTakenUp(t *testing.T) {
	for _, knows := range []uint8{3, 4} {
		withLevels(t, func(l *leveled) {
			l.agent(1, 4)
			store := l.store
			l.store = &interrupted{store, 1}
			if _, err := l.Finalize(l.ctx, 4, false); !errors.Is(err, metadata.ErrUnavailable) {
				t.Fatal(err)
			}
			if c := l.record(); c.Level != 3 || c.Next != 4 {
				t.Fatalf("%+v", c)
			}
			l.store = store
			l.agent(1, knows)
			_, err := l.Finalize(l.ctx, 4, false)
			if c := l.record(); c.Level != knows || c.Next != 0 || errors.Is(err, ErrLevel) != (knows == 3) {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

// impatient is a store that cancels the caller's context when agents are listed after the announcement.
type impatient struct {
	metadata.Store
	announced bool
	giveUp    context.CancelFunc
}

func (s *impatient) List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error) {
	if !s.announced {
		return s.Store.List(ctx, prefix)
	}
	s.giveUp()
	return nil, 0, ctx.Err()
}

func (s *impatient) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	s.announced = true
	return s.Store.Txn(ctx, guards, ops...)
}

// A canceled finalization leaves no announcement behind, which would keep agents out.
func TestFinalizeIsWithdrawnAfterItsCaller(t *testing.T) {
	withLevels(t, func(l *leveled) {
		l.agent(1, 4)
		ctx, cancel := context.WithCancel(l.ctx)
		store := l.store
		l.store = &impatient{Store: store, giveUp: cancel}
		if _, err := l.Finalize(ctx, 4, false); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		l.store = store
		if c := l.record(); c.Level != 3 || c.Next != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// Finalizing at the present level withdraws an announcement.
func TestFinalizeIsWithdrawn(t *testing.T) {
	withLevels(t, func(l *leveled) {
		l.agent(1, 4)
		l.put(metadata.Put(schema.KeyCluster, schema.Cluster{ID: "c", Level: 3, Next: 4}.Encode()))
		if _, err := l.Finalize(l.ctx, 3, false); err != nil || l.record() != (schema.Cluster{ID: "c", Created: l.record().Created, Level: 3}) {
			t.Errorf("%+v, %v", l.record(), err)
		}
	})
}

// slow is a store whose requests all take the same time.
type slow struct{ metadata.Store }

func (s slow) Get(ctx context.Context, key string) (metadata.KV, error) {
	time.Sleep(time.Millisecond)
	return s.Store.Get(ctx, key)
}

func (s slow) List(ctx context.Context, prefix string) ([]metadata.KV, metadata.Revision, error) {
	time.Sleep(time.Millisecond)
	return s.Store.List(ctx, prefix)
}

func (s slow) Txn(ctx context.Context, guards []metadata.Guard, ops ...metadata.Op) (metadata.Revision, error) {
	time.Sleep(time.Millisecond)
	return s.Store.Txn(ctx, guards, ops...)
}

// Two finalizations at the same time both end, in whichever step they are.
func TestTwoFinalizations(t *testing.T) {
	for apart := range 12 {
		withLevels(t, func(l *leveled) {
			l.agent(1, 4)
			l.store = slow{l.store}
			ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
			defer cancel()
			ended := make(chan error, 2)
			for i := range 2 {
				go func() {
					time.Sleep(time.Duration(i) * (time.Duration(apart)*time.Millisecond + 500*time.Microsecond))
					_, err := l.Finalize(ctx, 4, false)
					ended <- err
				}()
			}
			if err := errors.Join(<-ended, <-ended); err != nil || l.record().Level != 4 {
				t.Errorf("%d ms apart: %v, %+v", apart, err, l.record())
			}
		})
	}
}
