package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/backoff"
	"varve/metadata"
)

// convertLayout brings the keys of a cluster of an earlier build to the newest layout. It waits
// until no agent of such a build runs: what that one owns, it could neither upload nor give
// away any more.
func (a *Agent) convertLayout(ctx context.Context) error {
	store := a.deps.Meta
	kv, err := a.awaitEarlierBuilds(ctx)
	if err != nil {
		return err
	}
	c, err := metadata.DecodeCluster(kv.Value)
	if err != nil || c.Layout == metadata.NewestLayout {
		return err
	}
	a.log.Info("converting the metadata of an earlier build", "from_layout", c.Layout, "to_layout", metadata.NewestLayout)
	err = metadata.SplitHeads(ctx, store,
		func(done, all int) { a.log.Info("partitions converted", "done", done, "of", all) },
		func(key string, err error) {
			a.log.Error("a partition was not converted, it will not be served", "key", key, "err", err)
		})
	if err != nil {
		return fmt.Errorf("convert the metadata of an earlier build: %w", err)
	}
	c.Layout = metadata.NewestLayout
	_, err = store.Txn(ctx, []metadata.Guard{{Key: kv.Key, Mod: kv.Mod}}, metadata.Put(kv.Key, c.Encode()))
	if errors.Is(err, metadata.ErrConflict) {
		err = nil // another agent did the same
	}
	return err
}

// awaitEarlierBuilds returns the cluster's record when its layout is the newest, or when no agent
// is registered: those that are, before the layout is the newest, are of earlier builds.
func (a *Agent) awaitEarlierBuilds(ctx context.Context) (metadata.KV, error) {
	for said := false; ; {
		kv, err := a.deps.Meta.Get(ctx, metadata.KeyCluster)
		if err != nil {
			return kv, err
		}
		c, err := metadata.DecodeCluster(kv.Value)
		if err != nil || c.Layout == metadata.NewestLayout {
			return kv, err
		}
		running, _, err := a.deps.Meta.List(ctx, metadata.PrefixAgents)
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
