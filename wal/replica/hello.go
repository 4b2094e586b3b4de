package replica

import (
	"encoding/binary"
	"fmt"

	"varve/internal/id"
	"varve/internal/wire"
)

// purpose is what a connection is for.
type purpose uint8

const (
	purposeCall purpose = iota + 1
	purposeStream
)

// hello is what the caller sends first.
//
//	version uint16, cluster string, purpose uint8, journal (of a stream),
//	caller's store, incarnation uint64, broker int32, store that is meant
type hello struct {
	cluster     string
	purpose     purpose
	journal     id.Journal
	from        id.Store
	incarnation id.Incarnation
	broker      id.Broker
	to          id.Store
}

func (h *hello) encode() []byte {
	b := binary.LittleEndian.AppendUint16(nil, wireVersion)
	b = wire.AppendString(b, h.cluster)
	b = append(b, byte(h.purpose))
	b = appendJournal(b, h.journal)
	b = append(b, h.from[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.incarnation))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.broker))
	return append(b, h.to[:]...)
}

func decodeHello(b []byte) (h hello, err error) {
	r := wire.NewReader(b)
	if v := r.U16(); r.Err() == nil && v != wireVersion {
		return h, fmt.Errorf("peer speaks version %d, this program %d: %w", v, wireVersion, errFrame)
	}
	h.cluster, h.purpose, h.journal = r.String(), purpose(r.U8()), readJournal(r)
	h.from, h.incarnation, h.broker = readStore(r), id.Incarnation(r.U64()), id.Broker(r.I32())
	h.to = readStore(r)
	if err := r.Done(); err != nil {
		return h, fmt.Errorf("hello: %w: %w", errFrame, err)
	}
	if h.purpose != purposeCall && h.purpose != purposeStream {
		return h, fmt.Errorf("hello: purpose %d: %w", h.purpose, errFrame)
	}
	return h, nil
}

// welcome is what the other side answers: an error, or
//
//	version uint16, its store, incarnation uint64, broker int32, and for a stream
//	the number up to which the member has the journal durably
type welcome struct {
	err         error
	store       id.Store
	incarnation id.Incarnation
	broker      id.Broker
	durable     uint64
}

func (w *welcome) encode() []byte {
	b := binary.LittleEndian.AppendUint16(nil, wireVersion)
	b = append(b, w.store[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(w.incarnation))
	b = binary.LittleEndian.AppendUint32(b, uint32(w.broker))
	b = binary.LittleEndian.AppendUint64(b, w.durable)
	return appendError(b, w.err)
}

func decodeWelcome(b []byte) (w welcome, err error) {
	r := wire.NewReader(b)
	if v := r.U16(); r.Err() == nil && v != wireVersion {
		return w, fmt.Errorf("peer speaks version %d, this program %d: %w", v, wireVersion, errFrame)
	}
	w.store, w.incarnation, w.broker, w.durable = readStore(r), id.Incarnation(r.U64()), id.Broker(r.I32()), r.U64()
	w.err = readError(r, w.store)
	if err := r.Done(); err != nil {
		return w, fmt.Errorf("welcome: %w: %w", errFrame, err)
	}
	return w, nil
}
