package s3store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"varve/internal/vfs"
)

// An object is what its body was, whatever its size and wherever it is in memory.
func TestDirWritesAnySize(t *testing.T) {
	d, err := openDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	whole := vfs.Aligned(4*directPiece + vfs.BlockBytes)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(whole)
	for _, size := range []int{0, 1, directBytes - 1, directBytes, directBytes + 1, directPiece - 1, directPiece, directPiece + 1, directPiece + vfs.BlockBytes, 3*directPiece + 17, 4 * directPiece} {
		for _, shift := range []int{0, 1, 512} {
			data := whole[shift : shift+size]
			for name, body := range map[string]Body{"memory": Bytes(data), "other": bytes.NewReader(data)} {
				if err := d.Put(t.Context(), "k", body); err != nil {
					t.Fatalf("%s, %d bytes at %d: %v", name, size, shift, err)
				}
				got, err := readAll(t, d, "k", 0, -1)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%s, %d bytes at %d: read %d bytes, %v", name, size, shift, len(got), err)
				}
			}
		}
	}
}

// brokenBody ends or fails in the middle.
type brokenBody struct {
	io.ReaderAt
	size int64
}

func (b brokenBody) Size() int64 { return b.size }

// A body that fails leaves neither an object nor a file, and so does a put whose
// context ends on the way.
func TestDirLeavesNothingOfFailedPuts(t *testing.T) {
	root := t.TempDir()
	d, err := openDir(root)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 2*directPiece)
	short := brokenBody{bytes.NewReader(data[:len(data)-1]), int64(len(data))}
	if err := d.Put(t.Context(), "k", short); !errors.Is(err, ErrInvalid) {
		t.Errorf("a body that ends early: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ending := brokenBody{readerAtFunc(func(p []byte, off int64) (int, error) { cancel(); return len(p), nil }), int64(len(data))}
	if err := d.Put(ctx, "k", ending); !errors.Is(err, context.Canceled) {
		t.Errorf("a put whose context ended: %v", err)
	}
	if _, err := d.Head(t.Context(), "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("head: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

type readerAtFunc func(p []byte, off int64) (int, error)

func (f readerAtFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }
