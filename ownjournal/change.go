package ownjournal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/cluster"
	"varve/internal/backoff"
	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// ChangeMembers seals the journal old, whose record is rec, where it is committed and opens
// the next one with other members, in one transaction. What was sealed is made safe again by
// uploading it at once. One change may be under way at a time.
func (j *Journal) ChangeMembers(ctx context.Context, old id.Journal, rec cluster.Journal, members []id.Store) error {
	j.seq++
	next := id.Journal{Writer: j.deps.Incarnation, Seq: j.seq}
	ready := func() error { return j.stillOpen(ctx, old, rec) }
	err := j.deps.Node.Switch(ctx, j.writer, next, members, j.cfg.Quorum, ready, func(end uint64) error {
		return j.sealAndOpen(ctx, old, rec, end, next, members)
	})
	if err != nil {
		j.refused.note(&j.deps, err)
		return err
	}
	j.deps.Log.Info("journal members changed", "journal", next, "members", members, "before", old)
	j.deps.Go(func() {
		if err := j.deps.Flush(ctx); err != nil && ctx.Err() == nil {
			j.deps.Log.Warn("records of the previous journal not uploaded yet", "journal", old, "err", err)
		}
	})
	return nil
}

// stillOpen asks etcd for the journal's record just before commits have to wait for a
// transaction: while etcd is away no change is begun.
func (j *Journal) stillOpen(ctx context.Context, old id.Journal, rec cluster.Journal) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	kv, err := j.deps.Meta.Get(ctx, schema.JournalKey(old))
	if err == nil && kv.Mod != rec.Mod {
		err = fmt.Errorf("its record has changed: %w", metadata.ErrConflict)
	}
	return err
}

// sealAndOpen sends the transaction until it is known to have taken effect: nil. An error
// means that others have ended the journal, or that this agent stops without knowing; the
// writer ends with it.
func (j *Journal) sealAndOpen(ctx context.Context, old id.Journal, rec cluster.Journal, end uint64, next id.Journal, members []id.Store) error {
	sealed, opened := rec.Journal, rec.Journal
	sealed.State, sealed.End = schema.JournalSealed, end
	opened.Ensemble, opened.Quorum = members, uint8(j.cfg.Quorum)
	oldKey, newKey := schema.JournalKey(old), schema.JournalKey(next)
	for {
		_, err := j.deps.Meta.Txn(ctx, []metadata.Guard{{Key: oldKey, Mod: rec.Mod}, {Key: newKey}},
			metadata.Put(oldKey, sealed.Encode()), metadata.Put(newKey, opened.Encode()))
		if err == nil {
			return nil
		}
		if errors.Is(err, metadata.ErrConflict) {
			// An earlier try whose answer was lost, or the journal is being recovered.
			if _, err = j.deps.Meta.Get(ctx, newKey); err == nil {
				return nil
			}
			if errors.Is(err, metadata.ErrNotFound) {
				err = fmt.Errorf("journal %v is not open as it was: %w", old, ErrReplaced)
				j.deps.Fatal(err)
				return err
			}
		}
		j.deps.Log.Warn("outcome of a change of journal members unknown, asking etcd", "journal", old, "err", err)
		if backoff.Sleep(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("whether the members have changed is not known: %w", ErrReplaced)
		}
	}
}
