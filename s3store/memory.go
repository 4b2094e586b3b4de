package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// memory is a store in the process's memory, for tests and simulation.
type memory struct {
	mu struct {
		sync.Mutex
		objects map[string]memoryObject
		folders map[string]int // how many objects are below a folder
	}
}

// memoryObject is immutable once it is in the map.
type memoryObject struct {
	data     []byte
	modified time.Time
}

// NewMemory opens an empty store in memory.
func NewMemory() Store {
	m := &memory{}
	m.mu.objects = map[string]memoryObject{}
	m.mu.folders = map[string]int{}
	return m
}

func (m *memory) Put(ctx context.Context, key string, body Body) error {
	return m.put(ctx, key, body, false)
}

func (m *memory) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return m.put(ctx, key, body, true)
}

func (m *memory) put(ctx context.Context, key string, body Body, ifAbsent bool) error {
	op := putOp(ifAbsent)
	if err := m.check(ctx, op, key); err != nil {
		return err
	}
	data, err := readBody(body)
	if err != nil {
		return &callError{op, key, err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, taken := m.mu.objects[key]
	if taken && ifAbsent {
		return &callError{op, key, ErrExists}
	}
	if !taken {
		if err := m.addToFolders(op, key); err != nil {
			return err
		}
	}
	m.mu.objects[key] = memoryObject{data, time.Now()}
	return nil
}

// addToFolders counts a new key, unless it is a folder or is below an object.
func (m *memory) addToFolders(op Op, key string) error {
	if m.mu.folders[key] > 0 {
		return wrap(op, key, ErrInvalid, errors.New("other objects lie below this key"))
	}
	for folder := range foldersOf(key) {
		if _, taken := m.mu.objects[folder]; taken {
			return wrap(op, key, ErrInvalid, fmt.Errorf("the key lies below the object %q", folder))
		}
	}
	for folder := range foldersOf(key) {
		m.mu.folders[folder]++
	}
	return nil
}

// foldersOf yields a, a/b for a/b/c.
func foldersOf(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(key) {
			if key[i] == '/' && !yield(key[:i]) {
				return
			}
		}
	}
}

func (m *memory) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	if err := m.check(ctx, OpGet, key); err != nil {
		return nil, err
	}
	if err := checkRange(key, off, length); err != nil {
		return nil, err
	}
	object, ok := m.object(key)
	if !ok {
		return nil, &callError{OpGet, key, ErrNotFound}
	}
	n, err := cutRange(key, int64(len(object.data)), off, length)
	if err != nil {
		return nil, err
	}
	return contextReader{ctx, bytes.NewReader(object.data[off : off+n]), io.NopCloser(nil)}, nil
}

func (m *memory) Head(ctx context.Context, key string) (Object, error) {
	if err := m.check(ctx, OpHead, key); err != nil {
		return Object{}, err
	}
	object, ok := m.object(key)
	if !ok {
		return Object{}, &callError{OpHead, key, ErrNotFound}
	}
	return Object{key, int64(len(object.data)), object.modified}, nil
}

func (m *memory) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	if err := checkListPrefix(prefix); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &callError{OpList, prefix, err}
	}
	for _, object := range m.snapshot(prefix, after) {
		if !each(object) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return &callError{OpList, prefix, err}
		}
	}
	return nil
}

func (m *memory) snapshot(prefix, after string) []Object {
	m.mu.Lock()
	var found []Object
	for key, object := range m.mu.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			found = append(found, Object{key, int64(len(object.data)), object.modified})
		}
	}
	m.mu.Unlock()
	slices.SortFunc(found, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return found
}

func (m *memory) Delete(ctx context.Context, keys []string) error {
	if err := checkKeys(OpDelete, keys); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &callError{OpDelete, "", err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		m.remove(key)
	}
	return nil
}

func (m *memory) remove(key string) {
	if _, there := m.mu.objects[key]; !there {
		return
	}
	delete(m.mu.objects, key)
	for folder := range foldersOf(key) {
		if m.mu.folders[folder]--; m.mu.folders[folder] == 0 {
			delete(m.mu.folders, folder)
		}
	}
}

func (m *memory) Capabilities() Capabilities {
	return Capabilities{IfNoneMatch: true, Driver: DriverMemory}
}

func (m *memory) Close() error { return nil }

func (m *memory) check(ctx context.Context, op Op, key string) error {
	if err := checkKey(op, key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &callError{op, key, err}
	}
	return nil
}

func (m *memory) object(key string) (memoryObject, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	object, ok := m.mu.objects[key]
	return object, ok
}

// cutRange returns how many bytes of an object of this size a Get returns.
func cutRange(key string, size, off, length int64) (int64, error) {
	if off == 0 && length < 0 {
		return size, nil
	}
	if off >= size {
		return 0, &callError{OpGet, key, ErrRange}
	}
	if length < 0 || length > size-off {
		return size - off, nil
	}
	return length, nil
}
