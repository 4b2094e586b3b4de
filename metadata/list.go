package metadata

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Pages of a List: the first is of firstPage keys, the others of as many as
// make about pageBytes, going by the keys seen so far.
const (
	firstPage = 256
	minPage   = 16
	maxPage   = 4096
	pageBytes = 2 << 20
)

// errCompacted: the revision that the pages are read at is gone.
var errCompacted = errors.New("revision was compacted")

// List implements Store.
func (s *etcdStore) List(ctx context.Context, prefix string) ([]KV, Revision, error) {
	for {
		kvs, rev, err := s.listOnce(ctx, prefix)
		if err == nil {
			return kvs, rev, nil
		}
		// The next one begins at a newer revision, so this ends as soon as one
		// reading is quicker than the time between two compactions.
		if !errors.Is(err, errCompacted) {
			return nil, 0, fmt.Errorf("list %s: %w", prefix, err)
		}
	}
}

// listOnce reads all pages at the revision of the first.
func (s *etcdStore) listOnce(ctx context.Context, prefix string) ([]KV, Revision, error) {
	from := s.cfg.Prefix + prefix
	end := clientv3.GetPrefixRangeEnd(from)
	var kvs []KV
	var rev Revision
	size, limit := 0, firstPage
	for {
		r, err := s.page(ctx, from, end, rev, limit)
		if err != nil {
			return nil, 0, err
		}
		if rev == 0 {
			rev = Revision(r.Header.Revision)
		}
		for _, kv := range r.Kvs {
			kvs = append(kvs, s.kv(kv))
			size += len(kv.Key) + len(kv.Value)
		}
		if !r.More || len(r.Kvs) == 0 {
			return kvs, rev, nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
		limit = pageBytes / max(size/len(kvs), 1)
		limit = min(max(limit, minPage), maxPage)
	}
}

// page reads up to limit keys in [from, end) at rev, or at the present revision
// if rev is zero.
func (s *etcdStore) page(ctx context.Context, from, end string, rev Revision, limit int) (*clientv3.GetResponse, error) {
	var resp *clientv3.GetResponse
	err := s.call(ctx, "list", func(ctx context.Context) (err error) {
		resp, err = s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(int64(rev)),
			clientv3.WithLimit(int64(limit)))
		if errors.Is(err, rpctypes.ErrCompacted) {
			return errCompacted
		}
		return err
	})
	return resp, err
}
