package s3store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDirSweepsOnlyWhatIsOld(t *testing.T) {
	root := t.TempDir()
	if _, err := openDir(root); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"put-old": sweepAge + time.Hour, "put-young": 0} {
		path := filepath.Join(root, "tmp", name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openDir(root); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(root, "tmp"))
	if err != nil || len(left) != 1 || left[0].Name() != "put-young" {
		t.Fatalf("left: %v, %v", left, err)
	}
}

func TestDirKeepsObjectsAndIgnoresForeignFiles(t *testing.T) {
	root := t.TempDir()
	first, err := openDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.PutIfAbsent(t.Context(), "a/b", strings.NewReader("kept")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README", "bad name@", "@"} {
		if err := os.WriteFile(filepath.Join(root, "objects", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	second, err := openDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := readAll(t, second, "a/b", 0, -1); err != nil || string(data) != "kept" {
		t.Fatalf("%q: %v", data, err)
	}
	var keys []string
	err = second.List(t.Context(), "", "", func(o Object) bool { keys = append(keys, o.Key); return true })
	if err != nil || strings.Join(keys, " ") != "a/b" {
		t.Fatalf("%q: %v", keys, err)
	}
	if err := second.Delete(t.Context(), []string{"a/b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "objects", "a")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the empty folder is there: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil || len(left) != 0 {
		t.Fatalf("left over: %v, %v", left, err)
	}
}

// FuzzDirPath: every key has a path of its own below the root, and is read back
// from the names along it.
func FuzzDirPath(f *testing.F) {
	for _, key := range []string{"a", "a/b/c", "a@", "../a", "/etc/passwd", "a/./b", ".../...", "", "a\x00"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if keyProblem(key) != "" {
			return
		}
		path := pathOf(key)
		if !filepath.IsLocal(path) {
			t.Fatalf("%q leaves the root", path)
		}
		names := strings.Split(filepath.ToSlash(path), "/")
		text := ""
		for i, name := range names {
			e, ok := parseEntry(name, i < len(names)-1)
			if !ok {
				t.Fatalf("name %q of key %q isn't understood", name, key)
			}
			text += e.adds
		}
		if text != key {
			t.Fatalf("key %q comes back as %q", key, text)
		}
	})
}
