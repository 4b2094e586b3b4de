package s3store

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"
)

const (
	// deleteBatch is how many keys S3 takes in one call.
	deleteBatch = 1000
	// singleDeletes is how many single deletes run at once where there is no batch.
	singleDeletes = 16
)

// deleteAll removes keys batch by batch, and one by one where the store knows
// no batches.
func deleteAll(ctx context.Context, keys []string, batch func(context.Context, []string) error, single func(context.Context, string) error) error {
	if err := checkKeys(OpDelete, keys); err != nil {
		return err
	}
	for some := range slices.Chunk(keys, deleteBatch) {
		err := batch(ctx, some)
		if errors.Is(err, ErrUnsupported) {
			err = deleteSingly(ctx, some, single)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func deleteSingly(ctx context.Context, keys []string, single func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(singleDeletes)
	for _, key := range keys {
		group.Go(func() error {
			if err := single(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			return nil
		})
	}
	return group.Wait()
}
