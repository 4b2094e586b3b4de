package read

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"varve/internal/id"
	"varve/metadata/schema"
	"varve/tiering/tiertest"
	"varve/tiering/upload"
)

// world is a bucket with a reader and an uploader.
type world struct {
	*tiertest.World
	reader *Reader
	upload *upload.Uploader
}

type worldConfig struct {
	upload upload.Config
	reader Config
	log    *slog.Logger // the uploader's
}

func testConfig() worldConfig {
	c := worldConfig{upload.DefaultConfig(), DefaultConfig(), slog.New(slog.DiscardHandler)}
	c.reader.ChunkBytes, c.reader.MemoryBytes, c.reader.ReadaheadBytes = 256<<10, 8<<20, 2<<20
	c.upload.CheckEvery = time.Hour // only flushes upload
	return c
}

func newWorld(t testing.TB, cfg worldConfig) *world {
	t.Helper()
	w := &world{World: tiertest.New(t)}
	w.reader = New(w.Store, cfg.reader, nil)
	w.begin(cfg)
	return w
}

// begin starts an uploader with the world's names.
func (w *world) begin(cfg worldConfig) {
	w.upload = upload.New(cfg.upload, upload.Deps{Store: w.Store, Pages: w.reader, IDs: w.IDs, Sources: tiertest.List[upload.Source](w.World), Log: cfg.log,
		Topic: func(t id.Topic) string { return fmt.Sprintf("topic-%x", t[0]) }, Clock: w.Now.Millis})
	w.Serve(w.upload, w.readSome, func() {
		w.reader.Close()
		if n := w.reader.parts.memory.inUse(); n != 0 {
			w.T.Errorf("%d bytes of the reader's memory were never released", n)
		}
	})
}

func (w *world) readSome(ctx context.Context, h *schema.Head, p id.Partition, offset int64, limit int) ([]byte, int64, error) {
	d, err := w.reader.Read(ctx, h, p, offset, limit)
	defer d.Release()
	all := bytes.Join(d.Pieces, nil)
	if len(all) != d.Bytes {
		w.T.Errorf("pieces have %d bytes, Bytes is %d", len(all), d.Bytes)
	}
	return all, d.Next, err
}
