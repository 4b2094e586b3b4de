package metadata_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"varve/metadata"
)

// quiet drops log lines.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// embedded starts an etcd in a directory of the test's.
func embedded(t testing.TB, dir string) *metadata.Embedded {
	t.Helper()
	start := time.Now()
	e, err := metadata.StartEmbedded(t.Context(), metadata.EmbedConfig{Dir: dir, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("embedded etcd serves after %v", time.Since(start).Round(time.Millisecond))
	t.Cleanup(func() { closeAll(t, e) })
	return e
}

func closeAll(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// open makes a handle that the test closes.
func open(t testing.TB, cfg metadata.Config) metadata.Store {
	t.Helper()
	s, err := metadata.Open(t.Context(), cfg, testLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(t, s) })
	return s
}

// testLogger writes to the test's output.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func put(t testing.TB, s metadata.Store, key, value string) metadata.Revision {
	t.Helper()
	rev, err := s.Txn(t.Context(), nil, metadata.Put(key, []byte(value)))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func wantValue(t testing.TB, s metadata.Store, key, want string) {
	t.Helper()
	kv, err := s.Get(t.Context(), key)
	if err != nil || string(kv.Value) != want {
		t.Fatalf("%s holds %q, error %v; want %q", key, kv.Value, err, want)
	}
}

func TestEmbeddedKeepsDataOverRestartAndMove(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	first, second := filepath.Join(root, "a"), filepath.Join(root, "b")
	e := embedded(t, first)
	put(t, open(t, e.Config()), "topics/x", "1")
	closeAll(t, e)
	e = embedded(t, first)
	s := open(t, e.Config())
	wantValue(t, s, "topics/x", "1")
	put(t, s, "topics/x", "2")
	closeAll(t, s)
	closeAll(t, e)
	// Other sockets are what other ports would be: the member's addresses change.
	if err := os.Rename(first, second); err != nil {
		t.Fatal(err)
	}
	e = embedded(t, second)
	s = open(t, e.Config())
	wantValue(t, s, "topics/x", "2")
	put(t, s, "topics/x", "3")
}

func TestEmbeddedWithLongPath(t *testing.T) {
	e := embedded(t, filepath.Join(t.TempDir(), strings.Repeat("long", 30)))
	s := open(t, e.Config())
	put(t, s, "a", "b")
	wantValue(t, s, "a", "b")
}

func TestEmbeddedRefusesDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	e := embedded(t, dir)
	_, err := metadata.StartEmbedded(t.Context(), metadata.EmbedConfig{Dir: dir, Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Fatalf("second start: %v", err)
	}
	put(t, open(t, e.Config()), "a", "b")
}

func TestEmbeddedRefusesEmptyDirectoryName(t *testing.T) {
	if _, err := metadata.StartEmbedded(t.Context(), metadata.EmbedConfig{Logger: quiet}); err == nil {
		t.Fatal("started without a directory")
	}
}

func TestOpenWithoutServer(t *testing.T) {
	cfg := metadata.DefaultConfig()
	cfg.Endpoints = []string{"unix://" + filepath.Join(t.TempDir(), "nobody.sock")}
	cfg.DialTimeout = 200 * time.Millisecond
	if _, err := metadata.Open(t.Context(), cfg, quiet, nil); !errors.Is(err, metadata.ErrUnavailable) {
		t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := metadata.Open(ctx, cfg, quiet, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("open with an ended context: %v", err)
	}
}
