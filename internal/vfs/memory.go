package vfs

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Memory is a file system in memory that can crash. The zero value is not
// usable; see NewMemory.
//
// The disk it stands for keeps a block whole or not at all: a crash keeps each
// block that was written since its file's last Sync, and each name that was
// made, changed or removed since its directory's last SyncDir, or loses it, as
// follows from the seed. Names in one directory come back in a state that they had
// together at some moment since the last SyncDir.
type Memory struct {
	// Fault, if not nil, is asked before each "open", "write", "sync", "read",
	// "rename", "remove" and "syncdir" and may fail it. It must be set before use.
	Fault func(op, name string) error
	// Capacity is the disk's size in bytes; 0 is without limit.
	Capacity int64

	mu struct {
		sync.Mutex
		names   map[string]*inode // as the running system sees them
		durable map[string]*inode // as of the last SyncDir of each directory
		dirs    map[string]bool
		locks   map[string]bool
	}
}

type inode struct {
	data   []byte
	synced []byte // as of the last Sync
}

// NewMemory makes an empty file system.
func NewMemory() *Memory {
	m := new(Memory)
	m.mu.names = map[string]*inode{}
	m.mu.durable = map[string]*inode{}
	m.mu.dirs = map[string]bool{".": true, "/": true}
	m.mu.locks = map[string]bool{}
	return m
}

// Crash returns what a disk would hold after a loss of power at this moment. The
// old file system must not be used any more.
func (m *Memory) Crash(r *rand.Rand) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := NewMemory()
	n.Capacity = m.Capacity
	for d := range m.mu.dirs {
		n.mu.dirs[d] = true
		names := m.mu.durable
		if r.IntN(2) == 0 {
			names = m.mu.names
		}
		for name, node := range names {
			if path.Dir(name) == d {
				n.mu.names[name] = node.crash(r)
			}
		}
	}
	for name, node := range n.mu.names {
		n.mu.durable[name] = node
	}
	return n
}

// crash keeps each block that differs from what was synced, or not. A file's
// length follows the furthest block that is kept.
func (node *inode) crash(r *rand.Rand) *inode {
	out := slices.Clone(node.synced)
	for at := 0; at < len(node.data); at += BlockBytes {
		end := min(at+BlockBytes, len(node.data))
		same := end <= len(node.synced) && slices.Equal(node.data[at:end], node.synced[at:end])
		if same || r.IntN(2) == 0 {
			continue
		}
		if end > len(out) {
			out = append(out, make([]byte, end-len(out))...)
		}
		copy(out[at:end], node.data[at:end])
	}
	if len(node.data) < len(out) && r.IntN(2) == 0 {
		out = out[:len(node.data)]
	}
	return &inode{data: out, synced: slices.Clone(out)}
}

func (m *Memory) fault(op, name string) error {
	if m.Fault == nil {
		return nil
	}
	if err := m.Fault(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// Open opens a file; Direct asks that writes be aligned, as a real disk does.
func (m *Memory) Open(name string, mode Mode) (File, error) {
	name = path.Clean(name)
	if err := m.fault("open", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.mu.names[name]
	if node == nil {
		if mode&Create == 0 || !m.mu.dirs[path.Dir(name)] {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		node = new(inode)
		m.mu.names[name] = node
	}
	if mode&Truncate != 0 {
		node.data = nil
	}
	return &memFile{m, name, node, mode}, nil
}

func (m *Memory) Remove(name string) error {
	name = path.Clean(name)
	if err := m.fault("remove", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(m.mu.names, name)
	return nil
}

func (m *Memory) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	if err := m.fault("rename", from); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.mu.names[from]
	if node == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(m.mu.names, from)
	m.mu.names[to] = node
	return nil
}

func (m *Memory) List(dir string) ([]string, error) {
	dir = path.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mu.dirs[dir] {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	var names []string
	for name := range m.mu.names {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	for d := range m.mu.dirs {
		if path.Dir(d) == dir && d != dir {
			names = append(names, path.Base(d))
		}
	}
	slices.Sort(names)
	return names, nil
}

// MkdirAll makes directories; they are durable at once.
func (m *Memory) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d := path.Clean(dir); !m.mu.dirs[d]; d = path.Dir(d) {
		m.mu.dirs[d] = true
	}
	return nil
}

func (m *Memory) SyncDir(dir string) error {
	dir = path.Clean(dir)
	if err := m.fault("syncdir", dir); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.mu.durable {
		if path.Dir(name) == dir && m.mu.names[name] == nil {
			delete(m.mu.durable, name)
		}
	}
	for name, node := range m.mu.names {
		if path.Dir(name) == dir {
			m.mu.durable[name] = node
		}
	}
	return nil
}

func (m *Memory) Space(string) (free, total int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Capacity == 0 {
		return 1 << 40, 1 << 40, nil
	}
	return m.Capacity - m.used(), m.Capacity, nil
}

func (m *Memory) used() (n int64) {
	for _, node := range m.mu.names {
		n += int64(len(node.data))
	}
	return n
}

type memLock struct {
	m    *Memory
	name string
}

func (m *Memory) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.locks[name] {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	m.mu.locks[name] = true
	return memLock{m, name}, nil
}

func (l memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.mu.locks, l.name)
	return nil
}

type memFile struct {
	m    *Memory
	name string
	node *inode
	mode Mode
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.m.fault("read", f.name); err != nil {
		return 0, err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.m.fault("write", f.name); err != nil {
		return 0, err
	}
	if f.mode&ReadOnly != 0 {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.EBADF}
	}
	if f.mode&Direct != 0 && (off%BlockBytes != 0 || len(p)%BlockBytes != 0) {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.EINVAL}
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if grow := off + int64(len(p)) - int64(len(f.node.data)); grow > 0 {
		if f.m.Capacity > 0 && f.m.used()+grow > f.m.Capacity {
			return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
		}
		f.node.data = append(f.node.data, make([]byte, grow)...)
	}
	return copy(f.node.data[off:], p), nil
}

func (f *memFile) Sync() error {
	if err := f.m.fault("sync", f.name); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.node.synced = append(f.node.synced[:0], f.node.data...)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.node.data)), nil
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.node.data = append(f.node.data[:min(size, int64(len(f.node.data)))], make([]byte, max(0, size-int64(len(f.node.data))))...)
	return nil
}

func (f *memFile) Close() error { return nil }

// Names lists every file, for tests that look for leftovers.
func (m *Memory) Names(suffix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.mu.names {
		if strings.HasSuffix(name, suffix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
