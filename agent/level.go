package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"varve/internal/backoff"
	"varve/metadata"
	"varve/metadata/schema"
)

// convertMetadata converts the keys of a cluster of an early build, to OldestLevel. It
// waits until no agent of such a build runs: that agent could no longer upload or hand over what
// it owns. It raises the level before and after the conversion: earlier builds refuse to start
// from its first write on, even if this agent dies before its last.
func (a *Agent) convertMetadata(ctx context.Context) error {
	store := a.deps.Meta
	for {
		kv, err := a.awaitEarlierBuilds(ctx)
		if err != nil {
			return err
		}
		c, err := schema.DecodeCluster(kv.Value)
		if err != nil {
			return err
		}
		if c.Level >= schema.OldestLevel {
			return a.deps.Levels.Check(c)
		}
		to := uint8(schema.MixedLevel)
		if c.Level == schema.MixedLevel {
			to = schema.OldestLevel
			a.log.Info("converting the metadata of an earlier build")
			err := schema.SplitHeads(ctx, store, progressTo(a.log), func(key string, err error) {
				a.log.Error("a partition was not converted, it will not be served", "key", key, "err", err)
			})
			if err != nil {
				return fmt.Errorf("convert the metadata of an earlier build: %w", err)
			}
		}
		c.Level = to
		_, err = store.Txn(ctx, []metadata.Guard{{Key: kv.Key, Mod: kv.Mod}}, metadata.Put(kv.Key, c.Encode()))
		if err != nil && !errors.Is(err, metadata.ErrConflict) { // a conflict: another agent does the same
			return err
		}
	}
}

// progressTo returns a function that logs every tenth of a conversion, and its end.
func progressTo(log *slog.Logger) func(done, all int) {
	said := 0
	return func(done, all int) {
		if tenth := done * 10 / all; tenth != said {
			said = tenth
			log.Info("partitions converted", "done", done, "of", all)
		}
	}
}

// awaitEarlierBuilds returns the cluster's record once its level is OldestLevel or more, or no agent
// is registered. Agents that are registered before are of earlier builds.
func (a *Agent) awaitEarlierBuilds(ctx context.Context) (metadata.KV, error) {
	for said := false; ; {
		kv, err := a.deps.Meta.Get(ctx, schema.KeyCluster)
		if err != nil {
			return kv, err
		}
		c, err := schema.DecodeCluster(kv.Value)
		if err != nil || c.Level >= schema.OldestLevel {
			return kv, err
		}
		running, _, err := a.deps.Meta.List(ctx, schema.PrefixAgents)
		if err != nil || len(running) == 0 {
			return kv, err
		}
		if !said {
			said = true
			a.stands("to convert the metadata of an earlier build; it waits until all agents of that build are stopped")
			a.log.Warn("agents of an earlier build run; stop all of them, this agent waits for that", "agents", len(running), "first", running[0].Key)
		}
		if err := backoff.Sleep(ctx, 200*time.Millisecond); err != nil {
			return kv, err
		}
	}
}
