package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

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

func (s *Store) storeMeta(j id.Journal, m meta) error {
	if err := vfs.WriteFile(s.disk.fs, s.disk.dir, j.String()+suffixMeta, m.encode()); err != nil {
		return fmt.Errorf("store meta of journal %v: %w", j, err)
	}
	return nil
}

func (s *Store) loadMeta(name string) error {
	j, err := id.ParseJournal(strings.TrimSuffix(name, suffixMeta))
	if err != nil {
		return fmt.Errorf("journal directory holds %q: %w", name, err)
	}
	path := s.disk.path(name)
	b, err := vfs.ReadFile(s.disk.fs, path, 4096)
	if err != nil {
		return err
	}
	held := s.held(j)
	held.meta, err = decodeMeta(b)
	if errors.Is(err, errNoEntry) {
		held.meta = meta{}
		s.damage(j, held, &CorruptError{path, 0, err})
		return nil
	}
	if err != nil {
		return &CorruptError{path, 0, err}
	}
	return nil
}

// Sealed returns where the journal was decided to end, if it was. It doesn't mean that
// this store holds all of it: see Last.
func (s *Store) Sealed(j id.Journal) (end uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.mu.journals[j]; h != nil && h.meta.sealed {
		return h.meta.end, true
	}
	return 0, false
}

// changeMeta stores before it shows. The journal's gate is held.
func (s *Store) changeMeta(j id.Journal, h *journal, change func(*meta) error) error {
	m := s.metaOf(h)
	before := m
	if err := change(&m); err != nil || m == before {
		return err
	}
	if err := s.storeMeta(j, m); err != nil {
		return err
	}
	s.mu.Lock()
	h.meta = m
	s.mu.Unlock()
	return nil
}

func (s *Store) metaOf(h *journal) meta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.meta
}

// removeMeta forgets a journal whose files are gone.
func (s *Store) removeMeta(j id.Journal) error {
	return s.disk.remove(s.disk.path(j.String() + suffixMeta))
}
