package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// ChangeMoves asks for moves, or, of those with NoBroker, that the partition stays
// where it is; and waits until the view shows it. It is not guarded: the last word
// counts, and who owns a partition is decided by its head.
func (e *Editor) ChangeMoves(ctx context.Context, to map[id.Partition]id.Broker) error {
	var ops []metadata.Op
	var rev metadata.Revision
	flush := func() (err error) {
		if len(ops) > 0 {
			rev, err = e.store.Txn(ctx, nil, ops...)
			ops = ops[:0]
		}
		return err
	}
	known := e.view.Moves()
	for p, b := range to {
		key := schema.MoveKey(p)
		if b == id.NoBroker {
			if _, ok := known[p]; !ok {
				continue
			}
			ops = append(ops, metadata.Delete(key))
		} else {
			ops = append(ops, metadata.Put(key, schema.Move{To: b}.Encode()))
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
	return e.awaitMoves(ctx, rev)
}

// awaitMoves waits for what was written; a deletion of what is gone already makes no
// event, and nothing to wait for.
func (e *Editor) awaitMoves(ctx context.Context, rev metadata.Revision) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := e.view.Await(ctx, schema.PrefixMoves, rev); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// SetDrained sets whether an agent is to own nothing, and waits until the view shows
// it.
func (e *Editor) SetDrained(ctx context.Context, b id.Broker, drained bool) error {
	key := schema.DrainKey(b)
	op := metadata.Delete(key)
	if drained {
		op = metadata.Put(key, schema.Drain{Since: time.Now()}.Encode())
	}
	if !drained && !e.view.Drained()[b] {
		return nil
	}
	rev, err := e.store.Txn(ctx, nil, op)
	if err != nil {
		return fmt.Errorf("change broker %d: %w", b, err)
	}
	return e.view.Await(ctx, schema.PrefixDrained, rev)
}

// Forget removes an agent that won't come back from those that are expected.
func (e *Editor) Forget(ctx context.Context, b id.Broker) error {
	if _, live := e.view.Agent(b); live {
		return Refuse(ErrNoAgent, "agent %d is alive: stop it first, or drain it", b)
	}
	if _, known := e.view.Members()[b]; !known {
		return Refuse(ErrUnknownAgent, "agent %d is not known", b)
	}
	guards := []metadata.Guard{{Key: schema.AgentKey(b)}} // it may come back just now
	rev, err := e.store.Txn(ctx, guards, metadata.Delete(schema.MemberKey(b)), metadata.Delete(schema.DrainKey(b)))
	if err != nil {
		return fmt.Errorf("forget agent %d: %w", b, err)
	}
	return e.view.Await(ctx, schema.PrefixMembers, rev)
}
