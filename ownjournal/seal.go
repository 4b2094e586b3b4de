package ownjournal

import (
	"context"
	"fmt"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
)

// Close ends writing, and waits for the disk. From its call on the end of the journal is no
// failure.
func (j *Journal) Close() {
	j.sealing.Store(true)
	j.writer.Close()
}

// Leave seals the journal after Close, and lets etcd forget it if the tier has all of it.
func (j *Journal) Leave(ctx context.Context) {
	mine := j.ID()
	rev, err := j.seal(ctx)
	if err != nil {
		j.deps.Log.Warn("journal not sealed, it will be recovered", "err", err)
		return
	}
	needed := j.neededElsewhere(ctx)
	j.deps.Partitions.Needs(func(id.Journal, wal.Pos) { needed = true })
	if !needed {
		j.forget(ctx, mine, rev)
	}
}

// seal ends the journal for good.
func (j *Journal) seal(ctx context.Context) (metadata.Revision, error) {
	mine := j.ID()
	key := schema.JournalKey(mine)
	kv, err := j.deps.Meta.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	rec, err := schema.DecodeJournal(kv.Value)
	if err != nil {
		return 0, err
	}
	if rec.State != schema.JournalOpen {
		return 0, fmt.Errorf("journal %v is %v", mine, rec.State)
	}
	rec.State, rec.End = schema.JournalSealed, j.writer.Committed()
	rev, err := j.deps.Meta.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.Put(key, rec.Encode()))
	if err != nil {
		return 0, err
	}
	return rev, j.deps.Node.Seal(ctx, j.deps.Store.ID(), mine, rec.End)
}
