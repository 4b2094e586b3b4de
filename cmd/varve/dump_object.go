package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/s3store"
	"varve/tiering/marker"
	"varve/tiering/object"
)

func dumpObjectCommand() *cobra.Command {
	var stores storesFlags
	var opts object.DumpOptions
	c := &cobra.Command{
		Use:   "object FILE|KEY|NAME",
		Short: "Show what an object of the bucket holds",
		Long: `Show the slices of an object: from a file, or from the bucket that an agent's
configuration names, by its key (data/83/1-22) or by its name (1-22). Checksums are verified on
the way. The key varve-cluster shows whose the bucket is.`,
		Example: "  varve dump object ./1-22 --batches\n  varve dump object data/83/1-22 --config varve.yaml --blocks\n  varve dump object 1-22 --data ./data",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if f, err := os.Open(args[0]); err == nil {
				defer f.Close()
				info, err := f.Stat()
				if err != nil {
					return err
				}
				if info.IsDir() {
					return usagef("%s is a directory", args[0])
				}
				return sayObject(args[0], object.Dump(c.OutOrStdout(), f, info.Size(), opts))
			}
			return dumpStored(c, &stores, args[0], opts)
		},
	}
	stores.add(c)
	c.Flags().BoolVar(&opts.Blocks, "blocks", false, "show every block")
	c.Flags().BoolVar(&opts.Batches, "batches", false, "and every record batch in it")
	return c
}

func sayObject(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("object %s: %w", name, err)
}

// dumpStored dumps an object of the configured store.
func dumpStored(c *cobra.Command, stores *storesFlags, name string, opts object.DumpOptions) error {
	ctx := c.Context()
	key := name
	if o, ok := parseObject(name); ok {
		key = object.Key(o)
	}
	cfg, err := stores.load()
	if err != nil {
		return err
	}
	if err := cfg.Store.Validate(); err != nil {
		return usagef("there is no file %s, and no bucket to look in: store.%w", name, err)
	}
	store, err := s3store.Open(ctx, cfg.Store, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return fmt.Errorf("open the bucket: %w", err)
	}
	defer store.Close()
	if key == marker.Key {
		return dumpMarker(c, store)
	}
	found, err := store.Head(ctx, key)
	if errors.Is(err, s3store.ErrNotFound) {
		return notFoundError{fmt.Sprintf("there is neither a file %s nor an object %s", name, key)}
	}
	if err != nil {
		return fmt.Errorf("object %s: %w", key, err)
	}
	return sayObject(key, object.Dump(c.OutOrStdout(), &ranges{ctx, store, key}, found.Size, opts))
}

// dumpMarker shows whose a bucket is.
func dumpMarker(c *cobra.Command, store s3store.Store) error {
	m, err := marker.Read(c.Context(), store)
	if err != nil {
		return fmt.Errorf("the cluster's marker: %w", err)
	}
	if m == nil {
		return notFoundError{"the bucket has no cluster's marker (" + marker.Key + ")"}
	}
	fmt.Fprintf(c.OutOrStdout(), "cluster %s, place %s, marked %s by %s\n", m.Cluster, m.Place, m.Created.UTC().Format(time.RFC3339), m.By)
	return nil
}

// parseObject reads an object's name, WRITER-NUMBER.
func parseObject(name string) (schema.Object, bool) {
	w, n, ok := strings.Cut(name, "-")
	writer, err1 := strconv.ParseUint(w, 10, 64)
	seq, err2 := strconv.ParseUint(n, 10, 64)
	return schema.Object{Writer: id.Incarnation(writer), Seq: seq}, ok && err1 == nil && err2 == nil
}

// ranges reads an object by ranged requests.
type ranges struct {
	ctx   context.Context
	store s3store.Store
	key   string
}

// ReadAt is io.ReaderAt's.
func (r *ranges) ReadAt(p []byte, at int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	body, err := r.store.Get(r.ctx, r.key, at, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
