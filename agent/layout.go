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

// convertLayout converts the keys of a cluster of an earlier build to the newest layout. It
// waits until no agent of such a build runs: that agent could no longer upload or hand over what
// it owns. It raises the layout before and after the conversion: earlier builds refuse to start
// from its first write on, even if this agent dies before its last.
func (a *Agent) convertLayout(ctx context.Context) error {
	store := a.deps.Meta
	for {
		kv, err := a.awaitEarlierBuilds(ctx)
		if err != nil {
			return err
		}
		c, err := schema.DecodeCluster(kv.Value)
		if err != nil || c.Layout == schema.NewestLayout {
			return err
		}
		to := uint8(schema.MixedLayout)
		if c.Layout == schema.MixedLayout {
			to = schema.NewestLayout
			a.log.Info("converting the metadata of an earlier build")
			err := schema.SplitHeads(ctx, store, progressTo(a.log), func(key string, err error) {
				a.log.Error("a partition was not converted, it will not be served", "key", key, "err", err)
			})
			if err != nil {
				return fmt.Errorf("convert the metadata of an earlier build: %w", err)
			}
		}
		c.Layout = to
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

// awaitEarlierBuilds returns the cluster's record once its layout is the newest or no agent is
// registered. Agents that are registered before the layout is the newest are of earlier builds.
func (a *Agent) awaitEarlierBuilds(ctx context.Context) (metadata.KV, error) {
	for said := false; ; {
		kv, err := a.deps.Meta.Get(ctx, schema.KeyCluster)
		if err != nil {
			return kv, err
		}
		c, err := schema.DecodeCluster(kv.Value)
		if err != nil || c.Layout == schema.NewestLayout {
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
