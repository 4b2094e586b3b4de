package cluster

import (
	"context"
	"errors"
	"fmt"

	"varve/metadata"
)

// AlterBroker changes a broker's dynamic settings; "" are those of all brokers.
func (e *Editor) AlterBroker(ctx context.Context, broker string, change func(metadata.Settings) error) error {
	return e.changeSettings(ctx, metadata.BrokerConfigKey(broker), change)
}

// AlterGroup changes a group's dynamic settings.
func (e *Editor) AlterGroup(ctx context.Context, group string, change func(metadata.Settings) error) error {
	return e.changeSettings(ctx, metadata.GroupConfigKey(group), change)
}

func (e *Editor) changeSettings(ctx context.Context, key string, change func(metadata.Settings) error) error {
	for {
		kv, err := e.store.Get(ctx, key)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return fmt.Errorf("read %s: %w", key, err)
		}
		s := metadata.Settings{}
		if err == nil {
			if s, err = metadata.DecodeSettings(kv.Value); err != nil {
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
		return e.view.Await(ctx, metadata.PrefixConfigs, rev)
	}
}
