package cluster

import (
	"context"
	"errors"
	"fmt"

	"varve/metadata"
	"varve/metadata/schema"
)

// AlterBroker changes a broker's dynamic settings; "" are those of all brokers.
func (e *Editor) AlterBroker(ctx context.Context, broker string, change func(schema.Settings) error) error {
	return e.changeSettings(ctx, schema.BrokerConfigKey(broker), change)
}

// AlterGroup changes a group's dynamic settings.
func (e *Editor) AlterGroup(ctx context.Context, group string, change func(schema.Settings) error) error {
	return e.changeSettings(ctx, schema.GroupConfigKey(group), change)
}

// AlterClientMetrics changes the settings of a subscription to clients' metrics.
func (e *Editor) AlterClientMetrics(ctx context.Context, name string, change func(schema.Settings) error) error {
	return e.changeSettings(ctx, schema.ClientMetricsConfigKey(name), change)
}

func (e *Editor) changeSettings(ctx context.Context, key string, change func(schema.Settings) error) error {
	for {
		kv, err := e.store.Get(ctx, key)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return fmt.Errorf("read %s: %w", key, err)
		}
		s := schema.Settings{}
		if err == nil {
			if s, err = schema.DecodeSettings(kv.Value); err != nil {
				return err
			}
		}
		if err := change(s); err != nil {
			return err
		}
		op := metadata.Put(key, s.Encode())
		if len(s) == 0 {
			op = metadata.Delete(key)
		}
		rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, op)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change %s: %w", key, err)
		}
		if kv.Mod == 0 && op.Delete {
			return nil // nothing changed, nothing will be seen
		}
		return e.view.Await(ctx, schema.PrefixConfigs, rev)
	}
}
