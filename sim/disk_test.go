package sim

import (
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"varve/internal/vfs"
)

// disk is a file system in memory that takes time, and that a process reaches through
// its gate.
type disk struct {
	*vfs.Memory
	g *gate

	mu     sync.Mutex
	random *rand.Rand
	stall  time.Duration // the most that a sync takes
}

func (d *disk) setStall(most time.Duration) {
	d.mu.Lock()
	d.stall = most
	d.mu.Unlock()
}

func (d *disk) spread() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return 10*time.Microsecond + time.Duration(d.random.Int64N(int64(d.stall)))
}

// sync takes its time; what was written meanwhile may or may not be part of it.
func (d *disk) sync(do func() error) error {
	if err := d.g.pass(); err != nil {
		return err
	}
	time.Sleep(d.spread())
	if err := d.g.pass(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	time.Sleep(10 * time.Microsecond)
	return d.g.pass()
}

func (d *disk) Open(name string, mode vfs.Mode) (vfs.File, error) {
	if err := d.g.pass(); err != nil {
		return nil, err
	}
	f, err := d.Memory.Open(name, mode)
	if err != nil {
		return nil, err
	}
	return &file{f, d}, nil
}

func (d *disk) Remove(name string) error {
	if err := d.g.pass(); err != nil {
		return err
	}
	return d.Memory.Remove(name)
}

func (d *disk) Rename(from, to string) error {
	if err := d.g.pass(); err != nil {
		return err
	}
	return d.Memory.Rename(from, to)
}

func (d *disk) List(dir string) ([]string, error) {
	if err := d.g.pass(); err != nil {
		return nil, err
	}
	return d.Memory.List(dir)
}

func (d *disk) SyncDir(dir string) error {
	return d.sync(func() error { return d.Memory.SyncDir(dir) })
}

func (d *disk) Lock(name string) (io.Closer, error) {
	if err := d.g.pass(); err != nil {
		return nil, err
	}
	return d.Memory.Lock(name)
}

type file struct {
	vfs.File
	d *disk
}

func (f *file) ReadAt(b []byte, off int64) (int, error) {
	if err := f.d.g.pass(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, off)
}

func (f *file) WriteAt(b []byte, off int64) (int, error) {
	if err := f.d.g.pass(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f *file) Sync() error { return f.d.sync(f.File.Sync) }

func (f *file) Truncate(size int64) error {
	if err := f.d.g.pass(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}
