package cluster

import (
	"context"
	"errors"
	"fmt"

	"varve/auth/quota"
	"varve/metadata"
	"varve/metadata/schema"
)

// MaxQuotas is how many entities of a cluster may have quotas: every agent keeps all of them in
// memory, a few hundred bytes each.
const MaxQuotas = 10_000

// ErrTooManyQuotas: as many entities of the cluster have quotas as may.
var ErrTooManyQuotas = errors.New("too many quotas")

// AlterQuotas sets the quotas of an entity that are in changes, or removes those that are 0
// there, and returns once the view shows it. Both must be valid. The number of entities is that
// of the view: agents that give quotas to some at the same time may exceed MaxQuotas a little.
func (e *Editor) AlterQuotas(ctx context.Context, of quota.Entity, changes map[quota.Key]float64) error {
	key := schema.QuotaKey(of)
	for {
		kv, err := e.store.Get(ctx, key)
		there := err == nil
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return fmt.Errorf("read quotas: %w", err)
		}
		var before quota.Values
		if there {
			if before, err = schema.DecodeQuotas(kv.Value); err != nil {
				return err
			}
		}
		now := before
		for k, value := range changes {
			now[k] = value
		}
		if now == before {
			return nil
		}
		if err := e.CheckQuotas(of); err != nil && !there {
			return err
		}
		op := metadata.Put(key, schema.EncodeQuotas(now))
		if now == (quota.Values{}) {
			op = metadata.Delete(key)
		}
		rev, err := e.store.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, op)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("change quotas: %w", err)
		}
		return e.view.Await(ctx, schema.PrefixQuotas, rev)
	}
}

// CheckQuotas returns why an entity can't have quotas for there being too many.
func (e *Editor) CheckQuotas(of quota.Entity) error {
	there := e.view.Quotas.Set()
	if there.Get(of) == (quota.Values{}) && there.Len() >= MaxQuotas {
		return Refuse(ErrTooManyQuotas, "%d users, clients and addresses have quotas, the most that are allowed", MaxQuotas)
	}
	return nil
}
