package wal

import (
	"encoding/binary"
	"fmt"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/internal/wire"
)

// The meta file of a journal, "<journal>.meta", replaced whole at each change:
// magic, version uint32, fence uint64, sealed byte, end uint64, from version 2 on
// the size of the journal's files as uint32 and the number of the journal before it
// as uint32, from version 3 on the floor, CRC-32C. The floor is the number of the
// journal's first entry here uint64 and its position uint64, or both 0: what is
// below, and every file before that position's, was given up and is not needed.
const (
	metaMagic   = "VARVEMET"
	metaVersion = 3
	metaBytes   = len(metaMagic) + 4 + 8 + 1 + 8 + 4 // of version 1
)

// meta is what a store must never forget of a journal: that it is a member, the
// highest epoch that fenced it, where the journal was decided to end, and how
// large its files are.
type meta struct {
	version   uint32
	fence     uint64
	sealed    bool
	end       uint64
	fileBytes uint32 // 0 in version 1: as in this store's configuration
	prev      uint32 // see Membership
	floor     floor
}

func (m meta) encode() []byte {
	b := append([]byte(nil), metaMagic...)
	b = binary.LittleEndian.AppendUint32(b, m.version)
	b = binary.LittleEndian.AppendUint64(b, m.fence)
	b = wire.AppendBool(b, m.sealed)
	b = binary.LittleEndian.AppendUint64(b, m.end)
	if m.version > 1 {
		b = binary.LittleEndian.AppendUint32(b, m.fileBytes)
		b = binary.LittleEndian.AppendUint32(b, m.prev)
	}
	if m.version > 2 {
		b = binary.LittleEndian.AppendUint64(b, m.floor.first)
		b = binary.LittleEndian.AppendUint64(b, uint64(m.floor.at))
	}
	return binary.LittleEndian.AppendUint32(b, sum(b))
}

func decodeMeta(b []byte) (m meta, err error) {
	if len(b) < metaBytes || string(b[:len(metaMagic)]) != metaMagic {
		return m, fmt.Errorf("no meta file: %w", errNoEntry)
	}
	body := b[:len(b)-4]
	if binary.LittleEndian.Uint32(b[len(body):]) != sum(body) {
		return m, fmt.Errorf("checksum: %w", errNoEntry)
	}
	r := wire.NewReader(body[len(metaMagic):])
	m.version, m.fence, m.sealed, m.end = r.U32(), r.U64(), r.Bool(), r.U64()
	if m.version < 1 || m.version > metaVersion {
		return m, fmt.Errorf("version %d, this program knows 1 to %d", m.version, metaVersion)
	}
	if m.version > 1 {
		m.fileBytes, m.prev = r.U32(), r.U32()
	}
	if m.version > 2 {
		m.floor = floor{r.U64(), Pos(r.U64())}
	}
	if m.floor != (floor{}) && !m.floor.valid() {
		return m, fmt.Errorf("entry %d at %v begins no file: %w", m.floor.first, m.floor.at, errNoEntry)
	}
	return m, r.Done()
}

// metaName returns the name of a journal's meta file.
func metaName(j id.Journal) string { return j.String() + suffixMeta }

func storeMeta(d *disk, j id.Journal, m meta) error {
	if err := vfs.WriteFile(d.fs, d.dir, metaName(j), m.encode()); err != nil {
		return fmt.Errorf("store meta of journal %v: %w", j, err)
	}
	return nil
}

// Sealed returns where the journal was decided to end, if it was. It doesn't mean that
// this store holds all of it: see Last.
func (s *Store) Sealed(j id.Journal) (end uint64, ok bool) { return s.journals.sealed(j) }

// changeMeta stores before it shows. The gate is held.
func (h *journal) changeMeta(change func(*meta) error) error {
	m := h.stored()
	before := m
	if err := change(&m); err != nil || m == before {
		return err
	}
	return h.setMeta(m)
}

// setMeta stores m, then shows it. The gate is held.
func (h *journal) setMeta(m meta) error {
	if err := storeMeta(h.in.disk, h.id, m); err != nil {
		return err
	}
	h.in.mu.Lock()
	h.meta = m
	h.in.mu.Unlock()
	return nil
}
