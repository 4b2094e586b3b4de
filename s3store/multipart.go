package s3store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// partDriver is what an S3 SDK does for a multipart upload.
type partDriver interface {
	begin(ctx context.Context, key string) (id string, err error)
	part(ctx context.Context, key, id string, number int, s section) (etag string, err error)
	complete(ctx context.Context, key, id string, parts []uploaded, ifAbsent bool) error
	abort(ctx context.Context, key, id string) error
}

// uploaded is a part that the store has; its number is its place plus one.
type uploaded struct {
	etag string
	crc  uint32
}

// abortWithin bounds the attempt to remove the parts of a failed upload.
const abortWithin = 10 * time.Second

// putParts uploads a body in parts, some at once. When it fails, the parts are
// removed; if that fails too, a lifecycle rule of the bucket has to.
func putParts(ctx context.Context, d partDriver, key string, body Body, partSize int64, concurrency int, ifAbsent bool) (err error) {
	id, err := d.begin(ctx, key)
	if err != nil {
		return fmt.Errorf("begin upload: %w", err)
	}
	defer func() {
		if err == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWithin)
		defer cancel()
		if abortErr := d.abort(ctx, key, id); abortErr != nil {
			err = fmt.Errorf("%w (its parts remain, upload id %s: %v)", err, id, abortErr)
		}
	}()
	parts := make([]uploaded, (body.Size()+partSize-1)/partSize)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for i := range parts {
		group.Go(func() error {
			if err := groupCtx.Err(); err != nil {
				return err
			}
			off := int64(i) * partSize
			s, err := sectionOf(body, off, min(partSize, body.Size()-off))
			if err != nil {
				return err
			}
			etag, err := d.part(groupCtx, key, id, i+1, s)
			if err != nil {
				return fmt.Errorf("upload part %d of %d: %w", i+1, len(parts), err)
			}
			parts[i] = uploaded{etag, s.crc}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := d.complete(ctx, key, id, parts, ifAbsent); err != nil {
		return fmt.Errorf("complete upload: %w", err)
	}
	return nil
}

// encodeCRC is the form of a CRC32C in S3's headers.
func encodeCRC(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}
