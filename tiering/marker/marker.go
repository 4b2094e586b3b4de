// Package marker keeps which cluster a bucket belongs to: an object that the first agent of a cluster writes,
// and that every agent compares with etcd before it writes anything else.
package marker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"varve/internal/wire"
	"varve/kafka"
	"varve/s3store"
	"varve/tiering/object"
)

// Marker format, version 1. The object has the cluster that the bucket and prefix belong to. The first
// agent of a cluster writes it, once; each agent compares it with etcd before it writes
// anything else. uint32 is little-endian; uvarint and varint are LEB128, the latter
// zigzag; string is a uvarint of its length and its bytes.
//
//	 0  magic     8 bytes  "VARVECLU"
//	 8  version   uint32   1
//	12  cluster   string   the cluster's id, as in etcd's key "cluster"
//	    place     string   names this bucket and prefix, as in etcd's key "bucket"; a copy of
//	                       the bucket has the same
//	    created   varint   ms since 1970
//	    by        string   who wrote it, for people
//	    checksum  uint32   CRC-32C of all of the above
//
// No torn marker can be read: a store shows an object whole or not at all. Anything that
// doesn't match is refused, as are versions that aren't known.

// Key is where the marker is, below the cluster's prefix.
const Key = "varve-cluster"

const (
	magic    = "VARVECLU"
	version  = 1
	maxBytes = 4 << 10 // bytes
)

// Marker is the cluster that a bucket belongs to.
type Marker struct {
	Cluster string
	Place   string
	Created time.Time
	By      string
}

// Encode writes the object.
func (m *Marker) Encode() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(magic), version)
	b = wire.AppendString(wire.AppendString(b, m.Cluster), m.Place)
	b = wire.AppendString(binary.AppendVarint(b, m.Created.UnixMilli()), m.By)
	return binary.LittleEndian.AppendUint32(b, kafka.Checksum(b))
}

var errNoMarker = errors.New("it is not a cluster's marker")

// decode reads what Encode writes.
func decode(b []byte) (*Marker, error) {
	const head, tail = len(magic) + 4, 4
	if len(b) < head+tail || len(b) > maxBytes || string(b[:len(magic)]) != magic {
		return nil, &object.CorruptError{Key: Key, At: 0, Err: errNoMarker}
	}
	if v := binary.LittleEndian.Uint32(b[len(magic):]); v != version {
		return nil, &object.CorruptError{Key: Key, At: int64(len(magic)), Err: fmt.Errorf("%w: %d", object.ErrVersion, v)}
	}
	body, sum := b[:len(b)-tail], binary.LittleEndian.Uint32(b[len(b)-tail:])
	if kafka.Checksum(body) != sum {
		return nil, &object.CorruptError{Key: Key, At: int64(len(body)), Err: object.ErrChecksum}
	}
	r := wire.NewReader(body[head:])
	m := &Marker{Cluster: r.String(), Place: r.String()}
	m.Created = time.UnixMilli(r.Varint())
	m.By = r.String()
	if err := r.Done(); err != nil {
		return nil, &object.CorruptError{Key: Key, At: int64(head), Err: err}
	}
	return m, nil
}

// Read reads the marker of a bucket; nil if it has none. A *CorruptError means that
// something else is in its place.
func Read(ctx context.Context, store s3store.Store) (*Marker, error) {
	body, err := store.Get(ctx, Key, 0, -1)
	switch {
	case errors.Is(err, s3store.ErrNotFound):
		return nil, nil
	case errors.Is(err, s3store.ErrRange): // of no bytes
		return nil, &object.CorruptError{Key: Key, At: 0, Err: errNoMarker}
	case err != nil:
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxBytes+1))
	if err != nil {
		return nil, err
	}
	return decode(b)
}

// Write writes the marker where there is none: s3store.ErrExists if there is. A
// store that can't refuse may let two writers succeed; read it again to see which one stayed.
func Write(ctx context.Context, store s3store.Store, m *Marker) error {
	return store.PutIfAbsent(ctx, Key, bytes.NewReader(m.Encode()))
}

// Replace writes the marker over another.
func Replace(ctx context.Context, store s3store.Store, m *Marker) error {
	return store.Put(ctx, Key, bytes.NewReader(m.Encode()))
}
