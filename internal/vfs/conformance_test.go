package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"varve/internal/vfs"
)

// Every file system behaves alike: all claims about crashes rest on the one in memory.
func TestConformance(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (vfs.FS, string){
		"memory": func(t *testing.T) (vfs.FS, string) {
			m := vfs.NewMemory()
			must(t, m.MkdirAll("d"))
			return m, "d"
		},
		"os": func(t *testing.T) (vfs.FS, string) { return vfs.OS{}, t.TempDir() },
		"watched": func(t *testing.T) (vfs.FS, string) {
			return vfs.Watch(vfs.OS{}), t.TempDir()
		},
	} {
		for _, c := range conformance {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				fsys, dir := open(t)
				c.check(t, fsys, dir)
			})
		}
	}
}

var conformance = []struct {
	name  string
	check func(t *testing.T, fsys vfs.FS, dir string)
}{
	{"a file that is absent", func(t *testing.T, fsys vfs.FS, dir string) {
		for _, mode := range []vfs.Mode{0, vfs.ReadOnly, vfs.Direct, vfs.Truncate} {
			if f, err := fsys.Open(dir+"/a", mode); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("mode %d: %v, %v", mode, f, err)
			}
		}
		if err := fsys.Remove(dir + "/a"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("remove: %v", err)
		}
		if err := fsys.Rename(dir+"/a", dir+"/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("rename: %v", err)
		}
		if _, err := fsys.List(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("list: %v", err)
		}
	}},
	{"write, read and size", func(t *testing.T, fsys vfs.FS, dir string) {
		f := create(t, fsys, dir+"/a", "hello")
		defer f.Close()
		holds(t, f, "hello")
		write(t, f, "XY", 7) // beyond the end: zeros between
		holds(t, f, "hello\x00\x00XY")
		write(t, f, "E", 1)
		holds(t, f, "hEllo\x00\x00XY")
		b := make([]byte, 4)
		if n, err := f.ReadAt(b, 7); n != 2 || err != io.EOF || string(b[:n]) != "XY" {
			t.Errorf("across the end: %q, %v", b[:n], err)
		}
		if n, err := f.ReadAt(b, 9); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d, %v", n, err)
		}
		if n, err := f.ReadAt(b, 100); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
	}},
	{"truncate", func(t *testing.T, fsys vfs.FS, dir string) {
		f := create(t, fsys, dir+"/a", "hello")
		defer f.Close()
		must(t, f.Truncate(2))
		holds(t, f, "he")
		must(t, f.Truncate(4))
		holds(t, f, "he\x00\x00")
		g, err := fsys.Open(dir+"/a", vfs.Truncate)
		must(t, err)
		holds(t, g, "")
		must(t, g.Close())
		holds(t, f, "")
	}},
	{"create keeps what is there", func(t *testing.T, fsys vfs.FS, dir string) {
		must(t, create(t, fsys, dir+"/a", "hello").Close())
		f, err := fsys.Open(dir+"/a", vfs.Create)
		must(t, err)
		holds(t, f, "hello")
		must(t, f.Close())
	}},
	{"read only", func(t *testing.T, fsys vfs.FS, dir string) {
		must(t, create(t, fsys, dir+"/a", "hello").Close())
		f, err := fsys.Open(dir+"/a", vfs.ReadOnly)
		must(t, err)
		defer f.Close()
		holds(t, f, "hello")
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("it could be written")
		}
		holds(t, f, "hello")
	}},
	{"direct", func(t *testing.T, fsys vfs.FS, dir string) {
		f, err := fsys.Open(dir+"/a", vfs.Create|vfs.Direct)
		must(t, err)
		defer f.Close()
		b := vfs.Aligned(2 * vfs.BlockBytes)
		for i := range b {
			b[i] = byte(i / 100)
		}
		_, err = f.WriteAt(b, vfs.BlockBytes)
		must(t, err)
		must(t, f.Sync())
		got := vfs.Aligned(3 * vfs.BlockBytes)
		if n, err := f.ReadAt(got, 0); n != len(got) || err != nil && err != io.EOF {
			t.Fatalf("read %d: %v", n, err)
		}
		if !bytes.Equal(got, append(make([]byte, vfs.BlockBytes), b...)) {
			t.Error("other bytes were read")
		}
	}},
	{"rename and remove", func(t *testing.T, fsys vfs.FS, dir string) {
		f := create(t, fsys, dir+"/a", "one")
		defer f.Close()
		must(t, create(t, fsys, dir+"/b", "two").Close())
		must(t, fsys.Rename(dir+"/a", dir+"/b")) // replaces it
		must(t, fsys.SyncDir(dir))
		lists(t, fsys, dir, "b")
		g, err := fsys.Open(dir+"/b", 0)
		must(t, err)
		defer g.Close()
		holds(t, g, "one")
		write(t, f, "ONE", 0) // an open file follows its name
		holds(t, g, "ONE")
		must(t, fsys.Remove(dir+"/b"))
		lists(t, fsys, dir)
		holds(t, g, "ONE") // and outlives it
	}},
	{"list", func(t *testing.T, fsys vfs.FS, dir string) {
		for _, name := range []string{"c", "a", "b.tmp"} {
			must(t, create(t, fsys, dir+"/"+name, "").Close())
		}
		must(t, fsys.MkdirAll(dir+"/sub/deep"))
		must(t, create(t, fsys, dir+"/sub/x", "").Close())
		lists(t, fsys, dir, "a", "b.tmp", "c", "sub")
		lists(t, fsys, dir+"/sub", "deep", "x")
		must(t, fsys.MkdirAll(dir+"/sub/deep")) // again
	}},
	{"lock", func(t *testing.T, fsys vfs.FS, dir string) {
		l, err := fsys.Lock(dir + "/lock")
		must(t, err)
		if _, err := fsys.Lock(dir + "/lock"); !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("a second lock: %v", err)
		}
		must(t, l.Close())
		l, err = fsys.Lock(dir + "/lock")
		must(t, err)
		must(t, l.Close())
	}},
	{"space", func(t *testing.T, fsys vfs.FS, dir string) {
		if free, total, err := fsys.Space(dir); err != nil || free <= 0 || total < free {
			t.Errorf("%d of %d free, %v", free, total, err)
		}
	}},
	{"whole files", func(t *testing.T, fsys vfs.FS, dir string) {
		for _, text := range []string{"one", "another, longer", ""} {
			must(t, vfs.WriteFile(fsys, dir, "f", []byte(text)))
			if b, err := vfs.ReadFile(fsys, dir+"/f", 100); err != nil || string(b) != text {
				t.Errorf("%q: %q, %v", text, b, err)
			}
		}
		must(t, vfs.WriteFile(fsys, dir, "f", []byte("12345")))
		if b, err := vfs.ReadFile(fsys, dir+"/f", 4); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("over the limit: %q, %v", b, err)
		}
		must(t, vfs.RemoveSynced(fsys, dir, "f"))
		lists(t, fsys, dir)
	}},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, fsys vfs.FS, name, text string) vfs.File {
	t.Helper()
	f, err := fsys.Open(name, vfs.Create)
	must(t, err)
	write(t, f, text, 0)
	must(t, f.Sync())
	return f
}

func write(t *testing.T, f vfs.File, text string, at int64) {
	t.Helper()
	if n, err := f.WriteAt([]byte(text), at); n != len(text) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(text), err)
	}
}

func holds(t *testing.T, f vfs.File, want string) {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n != len(b) || err != nil && err != io.EOF || string(b) != want {
		t.Fatalf("it holds %q, %v; want %q", b[:n], err, want)
	}
}

func lists(t *testing.T, fsys vfs.FS, dir string, want ...string) {
	t.Helper()
	if got, err := fsys.List(dir); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%s has %q, %v; want %q", dir, got, err, want)
	}
}
