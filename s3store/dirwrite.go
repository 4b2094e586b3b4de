package s3store

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"varve/internal/vfs"
)

// directBytes is the size from which an object is written past the page cache. The
// copy of a large one would push out of memory what is read more often, and costs
// more CPU than the write itself.
const directBytes = 256 << 10

// directPiece is the most that one direct write takes: enough for the speed of the
// disk, and little enough that the journal's writes, on the same disk, needn't wait
// for long.
const directPiece = 1 << 20

// pieces are aligned buffers of directPiece bytes for bodies that aren't aligned
// themselves.
var pieces = sync.Pool{New: func() any { b := vfs.Aligned(directPiece); return &b }}

// write puts a body into a synced file under tmp.
func (d *dir) write(ctx context.Context, body Body) (path string, err error) {
	file, err := os.CreateTemp(d.tmp, "put-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(file.Name())
		}
	}()
	if body.Size() >= directBytes {
		err := writeDirect(ctx, file.Name(), body)
		if !errors.Is(err, syscall.EINVAL) {
			return file.Name(), err
		}
		// The file system opens files for direct access, and then refuses the access.
		if err := file.Truncate(0); err != nil {
			return "", err
		}
	}
	return file.Name(), writeBuffered(ctx, file, body)
}

// writeBuffered writes a body through the page cache, and syncs it.
func writeBuffered(ctx context.Context, file *os.File, body Body) error {
	source := contextReader{ctx, io.NewSectionReader(body, 0, body.Size()), nil}
	buffered := bufio.NewWriterSize(file, 256<<10)
	n, err := io.Copy(buffered, source)
	if err == nil && n != body.Size() {
		err = bodyError(body, n, nil)
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	return err
}

// writeDirect writes a body past the page cache, where the file system can, and syncs
// it. The last block is filled up with zeros, which are cut off again.
func writeDirect(ctx context.Context, name string, body Body) (err error) {
	file, err := vfs.OS{}.Open(name, vfs.Direct)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	piece := pieces.Get().(*[]byte)
	defer pieces.Put(piece)
	size := body.Size()
	for at := int64(0); at < size; at += directPiece {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := alignedPiece(body, at, min(directPiece, size-at), *piece)
		if err != nil {
			return err
		}
		if _, err := file.WriteAt(p, at); err != nil {
			return err
		}
	}
	if size%vfs.BlockBytes != 0 {
		if err := file.Truncate(size); err != nil {
			return err
		}
	}
	return file.Sync()
}

// alignedPiece returns n bytes of a body from at, filled up with zeros to whole
// blocks: the body's own memory if it is aligned, or a copy in room.
func alignedPiece(body Body, at, n int64, room []byte) ([]byte, error) {
	if m, ok := body.(memoryBody); ok && n%vfs.BlockBytes == 0 {
		if p := m.data[at : at+n]; uintptr(unsafe.Pointer(&p[0]))%vfs.BlockBytes == 0 {
			return p, nil
		}
	}
	got, err := body.ReadAt(room[:n], at)
	if int64(got) < n {
		return nil, bodyError(body, at+int64(got), err)
	}
	whole := (n + vfs.BlockBytes - 1) / vfs.BlockBytes * vfs.BlockBytes
	clear(room[n:whole])
	return room[:whole], nil
}
