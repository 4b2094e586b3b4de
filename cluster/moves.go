package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"varve/internal/id"
	"varve/metadata"
)

// Move is a move that is under way: the owner is to give the partition to To.
type Move struct {
	metadata.Move
	Mod metadata.Revision
}

// ErrNoAgent: no live agent has the broker id, or it takes nothing.
var ErrNoAgent = errors.New("no such agent is alive")

// ErrUnknownAgent is the ErrNoAgent of a broker id that no live agent has.
var ErrUnknownAgent = Refuse(ErrNoAgent, "no such agent is alive")

// ErrNoLoss: there is no loss to accept: the journal isn't known, its writer lives, or a
// live agent has all of it.
var ErrNoLoss = errors.New("no loss to accept")

func (v *View) moveEvent(kv metadata.KV, gone bool) error {
	p, err := metadata.ParseMoveKey(kv.Key)
	if err != nil || gone {
		delete(v.mu.moves, p)
		return err
	}
	m, err := metadata.DecodeMove(kv.Value)
	if err == nil {
		v.mu.moves[p] = Move{m, kv.Mod}
	}
	return err
}

func (v *View) drainEvent(kv metadata.KV, gone bool) error {
	b, err := metadata.ParseDrainKey(kv.Key)
	if err != nil || gone {
		delete(v.mu.drained, b)
		return err
	}
	v.mu.drained[b] = true // whatever its value: it is there
	return nil
}

func (v *View) loadEvent(kv metadata.KV, gone bool) error {
	b, err := metadata.ParseLoadKey(kv.Key)
	if err != nil || gone {
		delete(v.mu.loads, b)
		return err
	}
	l, err := metadata.DecodeLoad(kv.Value)
	if err == nil {
		v.mu.loads[b] = l
	}
	return err
}

// Moves gives the moves that are under way.
func (v *View) Moves() map[id.Partition]Move {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return maps.Clone(v.mu.moves)
}

// Drained gives the agents that are to own nothing, dead or alive.
func (v *View) Drained() map[id.Broker]bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return maps.Clone(v.mu.drained)
}

// Loads gives what the live agents last said that they have to do.
func (v *View) Loads() map[id.Broker]metadata.Load {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return maps.Clone(v.mu.loads)
}

// Taker gives the live agent that could be given something: neither leaving nor
// drained. Else ErrNoAgent says why not.
func (v *View) Taker(b id.Broker) (Live, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	a, ok := v.mu.agents[b]
	switch {
	case !ok:
		return a, fmt.Errorf("broker %d: %w", b, ErrUnknownAgent)
	case a.Leaving:
		return a, Refuse(ErrNoAgent, "broker %d is stopping", b)
	case v.mu.drained[b]:
		return a, Refuse(ErrNoAgent, "broker %d is drained", b)
	}
	return a, nil
}

// ChangeMoves asks for moves, or, of those with NoBroker, that the partition stays
// where it is; and waits until the view shows it. It is not guarded: the last word
// counts, and who owns a partition is decided by its head.
func (v *View) ChangeMoves(ctx context.Context, to map[id.Partition]id.Broker) error {
	var ops []metadata.Op
	var rev metadata.Revision
	flush := func() (err error) {
		if len(ops) > 0 {
			rev, err = v.store.Txn(ctx, nil, ops...)
			ops = ops[:0]
		}
		return err
	}
	known := v.Moves()
	for p, b := range to {
		key := metadata.MoveKey(p)
		if b == id.NoBroker {
			if _, ok := known[p]; !ok {
				continue
			}
			ops = append(ops, metadata.Delete(key))
		} else {
			ops = append(ops, metadata.Put(key, metadata.Move{To: b}.Encode()))
		}
		if len(ops) == metadata.MaxTxnOps {
			if err := flush(); err != nil {
				return fmt.Errorf("store moves: %w", err)
			}
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("store moves: %w", err)
	}
	if rev == 0 {
		return nil
	}
	return v.awaitMoves(ctx, rev)
}

// awaitMoves waits for what was written; a deletion of what is gone already makes no
// event, and nothing to wait for.
func (v *View) awaitMoves(ctx context.Context, rev metadata.Revision) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := v.Await(ctx, metadata.PrefixMoves, rev); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// SetDrained says whether an agent is to own nothing, and waits until the view shows
// it.
func (v *View) SetDrained(ctx context.Context, b id.Broker, drained bool) error {
	key := metadata.DrainKey(b)
	op := metadata.Delete(key)
	if drained {
		op = metadata.Put(key, metadata.Drain{Since: time.Now()}.Encode())
	}
	if !drained && !v.Drained()[b] {
		return nil
	}
	rev, err := v.store.Txn(ctx, nil, op)
	if err != nil {
		return fmt.Errorf("change broker %d: %w", b, err)
	}
	return v.Await(ctx, metadata.PrefixDrained, rev)
}
