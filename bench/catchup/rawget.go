package main

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"varve/s3store"
)

// Of the plain GETs that are the yardstick.
const (
	getBytes   = 4 << 20
	getWorkers = 8
)

// rawGets reads all objects of the bucket in ranges, several at a time, and throws
// the bytes away.
func rawGets(ctx context.Context, store s3store.Store) (time.Duration, int64, error) {
	var objects []s3store.Object
	if err := store.List(ctx, "", "", func(o s3store.Object) bool {
		objects = append(objects, o)
		return true
	}); err != nil {
		return 0, 0, err
	}
	var total atomic.Int64
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(getWorkers)
	for _, o := range objects {
		for off := int64(0); off < o.Size; off += getBytes {
			group.Go(func() error {
				n, err := getRange(ctx, store, o.Key, off)
				total.Add(n)
				return err
			})
		}
	}
	err := group.Wait()
	return time.Since(began), total.Load(), err
}

func getRange(ctx context.Context, store s3store.Store, key string, off int64) (int64, error) {
	stream, err := store.Get(ctx, key, off, getBytes)
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, stream, make([]byte, 256<<10))
	stream.Close()
	return n, err
}
