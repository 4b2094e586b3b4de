package vfs

import (
	"io"
	"io/fs"
	"sync"
)

// Watched is a file system that knows which calls are under way: a disk that hangs
// returns no error, it returns nothing.
type Watched struct {
	fs FS

	mu    sync.Mutex
	last  uint64
	calls map[uint64]call // by number, in the order in which they began
}

type call struct{ op, name string }

// Watch watches a file system.
func Watch(fs FS) *Watched { return &Watched{fs: fs, calls: map[uint64]call{}} }

// Unwatched is the file system that is watched.
func (w *Watched) Unwatched() FS { return w.fs }

// Oldest is the call that has been under way for longest: its number, which no other
// call has, and what it does. 0: there is none.
func (w *Watched) Oldest() (number uint64, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, c := range w.calls {
		if number == 0 || n < number {
			number, what = n, c.op+" "+c.name
		}
	}
	return number, what
}

func (w *Watched) begin(op, name string) (number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	w.calls[w.last] = call{op, name}
	return w.last
}

func (w *Watched) end(number uint64) {
	w.mu.Lock()
	delete(w.calls, number)
	w.mu.Unlock()
}

// Open opens a file, whose calls are watched, too.
func (w *Watched) Open(name string, mode Mode) (File, error) {
	defer w.end(w.begin("open", name))
	f, err := w.fs.Open(name, mode)
	if err != nil {
		return nil, err
	}
	return &watchedFile{f, w, name}, nil
}

func (w *Watched) Remove(name string) error {
	defer w.end(w.begin("remove", name))
	return w.fs.Remove(name)
}

func (w *Watched) Rename(from, to string) error {
	defer w.end(w.begin("rename", from))
	return w.fs.Rename(from, to)
}

func (w *Watched) List(dir string) ([]string, error) {
	defer w.end(w.begin("list", dir))
	return w.fs.List(dir)
}

func (w *Watched) MkdirAll(dir string) error {
	defer w.end(w.begin("make", dir))
	return w.fs.MkdirAll(dir)
}

func (w *Watched) SyncDir(dir string) error {
	defer w.end(w.begin("sync", dir))
	return w.fs.SyncDir(dir)
}

func (w *Watched) Space(dir string) (free, total int64, err error) {
	defer w.end(w.begin("space of", dir))
	return w.fs.Space(dir)
}

func (w *Watched) Lock(name string) (io.Closer, error) {
	defer w.end(w.begin("lock", name))
	return w.fs.Lock(name)
}

// watchedFile is an open file of a Watched.
type watchedFile struct {
	f    File
	w    *Watched
	name string
}

func (f *watchedFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.w.end(f.w.begin("read", f.name))
	return f.f.ReadAt(p, off)
}

func (f *watchedFile) WriteAt(p []byte, off int64) (int, error) {
	defer f.w.end(f.w.begin("write", f.name))
	return f.f.WriteAt(p, off)
}

func (f *watchedFile) Sync() error {
	defer f.w.end(f.w.begin("sync", f.name))
	return f.f.Sync()
}

func (f *watchedFile) Size() (int64, error) {
	defer f.w.end(f.w.begin("size of", f.name))
	return f.f.Size()
}

func (f *watchedFile) Truncate(size int64) error {
	defer f.w.end(f.w.begin("truncate", f.name))
	return f.f.Truncate(size)
}

func (f *watchedFile) Close() error {
	defer f.w.end(f.w.begin("close", f.name))
	return f.f.Close()
}

func (w *Watched) permissions(name string) (fs.FileMode, bool, error) {
	defer w.end(w.begin("permissions of", name))
	return Permissions(w.fs, name)
}
