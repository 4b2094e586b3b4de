package vfs

import (
	"io"
	"os"
	"slices"
	"unsafe"
)

// OS is the operating system's file system.
type OS struct{}

type osFile struct{ *os.File }

// Open opens a file. Where the file system refuses direct access the file is
// an ordinary one.
func (OS) Open(name string, mode Mode) (File, error) {
	flag := os.O_RDWR
	if mode&ReadOnly != 0 {
		flag = os.O_RDONLY
	}
	if mode&Create != 0 {
		flag |= os.O_CREATE
	}
	if mode&Truncate != 0 {
		flag |= os.O_TRUNC
	}
	if mode&Direct != 0 {
		if f, ok, err := openDirect(name, flag); ok {
			return wrap(f, err)
		}
	}
	return wrap(os.OpenFile(name, flag, 0o640)) // #nosec G302 -- the group may read
}

func wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (f osFile) Sync() error { return syncData(f.File) }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (OS) Remove(name string) error     { return os.Remove(name) }
func (OS) Rename(from, to string) error { return os.Rename(from, to) }
func (OS) MkdirAll(dir string) error    { return os.MkdirAll(dir, 0o750) }

func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	return names, nil
}

func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (OS) Space(dir string) (free, total int64, err error) { return space(dir) }

func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640) // #nosec G302 -- the group may read
	if err != nil {
		return nil, err
	}
	if err := TryLock(f); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: name, Err: err}
	}
	return f, nil
}

// Aligned makes n bytes that begin at a block boundary in memory.
func Aligned(n int) []byte {
	b := make([]byte, n+BlockBytes)
	skip := 0
	if rest := int(uintptr(unsafe.Pointer(&b[0])) % BlockBytes); rest != 0 {
		skip = BlockBytes - rest
	}
	return b[skip : skip+n : skip+n]
}
