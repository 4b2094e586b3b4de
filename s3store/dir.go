package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// dir is a store in a directory of a local or network file system. Several
// processes may use the same directory at once.
//
//	<root>/objects/...   the objects, see dirpath.go
//	<root>/tmp/...       objects that are being written
//
// An object is written and synced under tmp, then linked or renamed into place,
// and its folders are synced: after a crash it is whole or absent.
type dir struct {
	objects, tmp string
}

// openDir opens or makes a store in root.
func openDir(root string) (*dir, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open directory store: %w", err)
	}
	d := &dir{filepath.Join(root, "objects"), filepath.Join(root, "tmp")}
	for _, path := range []string{d.objects, d.tmp} {
		if err := os.MkdirAll(path, 0o750); err != nil {
			return nil, fmt.Errorf("open directory store: %w", err)
		}
	}
	if err := errors.Join(syncPath(root), syncPath(filepath.Dir(root)), sweep(d.tmp)); err != nil {
		return nil, fmt.Errorf("open directory store: %w", err)
	}
	return d, nil
}

func (d *dir) Put(ctx context.Context, key string, body Body) error {
	return d.put(ctx, key, body, OpPut, os.Rename)
}

func (d *dir) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return d.put(ctx, key, body, OpPutIfAbsent, os.Link)
}

func (d *dir) put(ctx context.Context, key string, body Body, op Op, place func(from, to string) error) error {
	if err := d.check(ctx, op, key); err != nil {
		return err
	}
	written, err := d.write(ctx, body)
	if err != nil {
		return fileError(op, key, err)
	}
	defer os.Remove(written) // gone already if it was renamed
	path := filepath.Join(d.objects, pathOf(key))
	err = d.inFolder(path, func() error { return place(written, path) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fileError(op, key, err)
	}
	// Also if there was an object: callers take it for stored, and the attempt that put it may
	// have failed before it synced the name.
	if syncErr := d.syncFolders(filepath.Dir(path)); err == nil || syncErr != nil {
		err = syncErr
	}
	return fileError(op, key, err)
}

// inFolder runs do when the folder of path exists. As Delete removes folders
// that became empty, it may have to be made again.
func (d *dir) inFolder(path string, do func() error) error {
	var err error
	for range 100 {
		if err = do(); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err = os.MkdirAll(filepath.Dir(path), 0o750); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

func (d *dir) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	if err := d.check(ctx, OpGet, key); err != nil {
		return nil, err
	}
	if err := checkRange(key, off, length); err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(d.objects, pathOf(key)))
	if err != nil {
		return nil, fileError(OpGet, key, err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, fileError(OpGet, key, err)
	}
	n, err := cutRange(key, info.Size(), off, length)
	if err != nil {
		file.Close()
		return nil, err
	}
	return contextReader{ctx, io.NewSectionReader(file, off, n), file}, nil
}

func (d *dir) Head(ctx context.Context, key string) (Object, error) {
	if err := d.check(ctx, OpHead, key); err != nil {
		return Object{}, err
	}
	info, err := os.Stat(filepath.Join(d.objects, pathOf(key)))
	if err != nil {
		return Object{}, fileError(OpHead, key, err)
	}
	return Object{key, info.Size(), info.ModTime()}, nil
}

func (d *dir) Delete(ctx context.Context, keys []string) error {
	if err := checkKeys(OpDelete, keys); err != nil {
		return err
	}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return &callError{OpDelete, key, err}
		}
		path := filepath.Join(d.objects, pathOf(key))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError(OpDelete, key, err)
		}
		d.prune(filepath.Dir(path))
	}
	return nil
}

func (d *dir) Capabilities() Capabilities {
	return Capabilities{IfNoneMatch: true, Driver: DriverDir}
}

func (d *dir) Close() error { return nil }

func (d *dir) check(ctx context.Context, op Op, key string) error {
	if err := checkKey(op, key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &callError{op, key, err}
	}
	return nil
}

// fileError maps the file system's errors to the sentinels.
func fileError(op Op, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist) && (op == OpGet || op == OpHead):
		return wrap(op, key, ErrNotFound, err)
	case errors.Is(err, fs.ErrExist) && op == OpPutIfAbsent:
		return wrap(op, key, ErrExists, err)
	case errors.Is(err, fs.ErrPermission):
		return wrap(op, key, ErrDenied, err)
	}
	return &callError{op, key, err}
}
