package metadata

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Txn implements Store.
func (s *etcdStore) Txn(ctx context.Context, guards []Guard, ops ...Op) (Revision, error) {
	if err := checkTxn(guards, ops); err != nil {
		return 0, fmt.Errorf("txn: %w", err)
	}
	cmps := make([]clientv3.Cmp, len(guards))
	for i, g := range guards {
		cmps[i] = s.compare(g)
	}
	thens := make([]clientv3.Op, len(ops))
	for i, o := range ops {
		thens[i] = s.op(o)
	}
	var rev Revision
	err := s.call(ctx, "txn", func(ctx context.Context) error {
		r, err := s.client.Txn(ctx).If(cmps...).Then(thens...).Commit()
		if err != nil {
			return err
		}
		if !r.Succeeded {
			return ErrConflict
		}
		rev = Revision(r.Header.Revision)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("txn: %w", err)
	}
	return rev, nil
}

func (s *etcdStore) compare(g Guard) clientv3.Cmp {
	key := s.cfg.Prefix + g.Key
	if g.Mod == 0 {
		return clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	}
	return clientv3.Compare(clientv3.ModRevision(key), "=", int64(g.Mod))
}

func (s *etcdStore) op(o Op) clientv3.Op {
	key := s.cfg.Prefix + o.Key
	if o.Delete {
		return clientv3.OpDelete(key)
	}
	return clientv3.OpPut(key, string(o.Value), clientv3.WithLease(clientv3.LeaseID(o.Lease)))
}

// Get implements Store.
func (s *etcdStore) Get(ctx context.Context, key string) (KV, error) {
	if err := checkKey(key); err != nil {
		return KV{}, fmt.Errorf("get: %w", err)
	}
	kv, err := s.get(ctx, key)
	if err != nil {
		return KV{}, fmt.Errorf("get %s: %w", key, err)
	}
	return kv, nil
}

func (s *etcdStore) get(ctx context.Context, key string) (KV, error) {
	var kv KV
	err := s.call(ctx, "get", func(ctx context.Context) error {
		r, err := s.client.Get(ctx, s.cfg.Prefix+key)
		if err != nil {
			return err
		}
		if len(r.Kvs) == 0 {
			return ErrNotFound
		}
		kv = s.kv(r.Kvs[0])
		return nil
	})
	return kv, err
}

// Revoke implements Store.
func (s *etcdStore) Revoke(ctx context.Context, lease Lease) error {
	err := s.call(ctx, "revoke", func(ctx context.Context) error {
		_, err := s.client.Revoke(ctx, clientv3.LeaseID(lease))
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke lease %x: %w", int64(lease), err)
	}
	return nil
}

// kv is a key of etcd's without our prefix.
func (s *etcdStore) kv(kv *mvccpb.KeyValue) KV {
	return KV{
		Key:    strings.TrimPrefix(string(kv.Key), s.cfg.Prefix),
		Value:  kv.Value,
		Create: Revision(kv.CreateRevision),
		Mod:    Revision(kv.ModRevision),
		Lease:  Lease(kv.Lease),
	}
}
