package s3store

import (
	"bytes"
	"context"
	"log/slog"
	"syscall"
	"testing"
	"time"
)

// spare has a function called at the end of each put.
type spare struct {
	Store
	after func()
}

func (o spare) PutIfAbsent(ctx context.Context, key string, body Body) error {
	defer o.after()
	return o.Store.PutIfAbsent(ctx, key, body)
}

// A put whose name could not be made durable fails. When it is tried again it must not count as
// done before the name is durable, or the journal is trimmed on the strength of an object that a
// loss of power takes away.
func TestDirPutAgainSyncsTheName(t *testing.T) {
	d, err := openDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	files := func(n uint64) {
		l := limit
		l.Cur = n
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			t.Fatal(err)
		}
	}
	defer files(limit.Cur)
	data := bytes.Repeat([]byte("x"), directPiece)
	body := brokenBody{readerAtFunc(func(p []byte, off int64) (int, error) {
		files(3) // the files of the put are open by now
		return bytes.NewReader(data).ReadAt(p, off)
	}), int64(len(data))}
	store := WithRetry(spare{d, func() { files(limit.Cur) }}, RetryPolicy{Attempts: 2, Base: time.Millisecond, Max: time.Millisecond}, slog.New(slog.DiscardHandler))
	if err := store.PutIfAbsent(t.Context(), "k", body); err == nil {
		t.Error("the put is a success, and nothing has synced the name of the object")
	}
}
