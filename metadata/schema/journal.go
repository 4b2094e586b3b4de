package schema

import (
	"encoding/binary"
	"fmt"
	"slices"

	"varve/internal/id"
	"varve/internal/wire"
)

// JournalState is a step in a journal's life.
type JournalState uint8

// The states of a journal, in order.
const (
	JournalOpen JournalState = iota + 1
	JournalRecovering
	JournalSealed
)

func (s JournalState) String() string {
	switch s {
	case JournalOpen:
		return "open"
	case JournalRecovering:
		return "recovering"
	case JournalSealed:
		return "sealed"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Journal is the stores that keep a journal, and how far it counts.
type Journal struct {
	State    JournalState
	Broker   id.Broker  // whose incarnation writes it
	Ensemble []id.Store // the writer's own among them
	Quorum   uint8      // Q: how many must have an entry before it is acknowledged
	Fence    uint64     // of a recovering journal: the recoverer's epoch E
	End      uint64     // of a sealed journal: the number of its last entry, 0 if it has none
	// Holders, of a sealed journal, are stores outside the ensemble that a recoverer
	// handed all of it over.
	Holders []id.Store
	// Lost, of a sealed journal: an operator gave up what lay beyond End. Offsets that
	// are missing in a chain from there on may be passed over.
	Lost bool
}

// Keepers are all the stores that may have all of a sealed journal.
func (j *Journal) Keepers() []id.Store { return slices.Concat(j.Ensemble, j.Holders) }

// Encode writes the value.
func (j Journal) Encode() []byte {
	b := []byte{3, uint8(j.State)}
	b = binary.AppendVarint(b, int64(j.Broker))
	b = append(b, j.Quorum)
	b = binary.AppendUvarint(b, j.Fence)
	b = binary.AppendUvarint(b, j.End)
	return wire.AppendBool(appendStores(appendStores(b, j.Ensemble), j.Holders), j.Lost)
}

func appendStores(b []byte, stores []id.Store) []byte {
	b = binary.AppendUvarint(b, uint64(len(stores)))
	for _, s := range stores {
		b = append(b, s[:]...)
	}
	return b
}

func readStores(r *wire.Reader) (stores []id.Store) {
	for n := r.Count(16); n > 0; n-- {
		stores = append(stores, id.Store(r.Fixed(16)))
	}
	return stores
}

// DecodeJournal reads what Encode writes. Version 1 had no holders, version 2 no Lost.
func DecodeJournal(b []byte) (j Journal, err error) {
	err = decode("journal", 3, b, func(r *wire.Reader) {
		j.State = JournalState(r.U8())
		j.Broker = id.Broker(r.Varint())
		j.Quorum = r.U8()
		j.Fence, j.End = r.Uvarint(), r.Uvarint()
		j.Ensemble = readStores(r)
		if b[0] >= 2 {
			j.Holders = readStores(r)
		}
		if b[0] >= 3 {
			j.Lost = r.Bool()
		}
	})
	if err == nil && (j.State < JournalOpen || j.State > JournalSealed) {
		err = &ValueError{"journal", fmt.Errorf("%v", j.State)}
	}
	return j, err
}
