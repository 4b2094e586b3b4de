package wal

import (
	"encoding/binary"
	"fmt"
	"strings"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/internal/wire"
)

// The meta file of a journal, "<journal>.meta", replaced whole at each change:
// magic, version uint32, fence uint64, sealed byte, end uint64, CRC-32C.
const (
	metaMagic   = "VARVEMET"
	metaVersion = 1
	metaBytes   = len(metaMagic) + 4 + 8 + 1 + 8 + 4
)

// meta is what a store must never forget of a journal: that it is a member, the
// highest epoch that fenced it, and where the journal was decided to end.
type meta struct {
	version uint32
	fence   uint64
	sealed  bool
	end     uint64
}

func (m meta) encode() []byte {
	b := append([]byte(nil), metaMagic...)
	b = binary.LittleEndian.AppendUint32(b, m.version)
	b = binary.LittleEndian.AppendUint64(b, m.fence)
	b = wire.AppendBool(b, m.sealed)
	b = binary.LittleEndian.AppendUint64(b, m.end)
	return binary.LittleEndian.AppendUint32(b, sum(b))
}

func decodeMeta(b []byte) (m meta, err error) {
	if len(b) != metaBytes || string(b[:len(metaMagic)]) != metaMagic {
		return m, fmt.Errorf("no meta file: %w", errNoEntry)
	}
	if binary.LittleEndian.Uint32(b[metaBytes-4:]) != sum(b[:metaBytes-4]) {
		return m, fmt.Errorf("checksum: %w", errNoEntry)
	}
	r := wire.NewReader(b[len(metaMagic) : metaBytes-4])
	m.version, m.fence, m.sealed, m.end = r.U32(), r.U64(), r.Bool(), r.U64()
	if err := r.Done(); err != nil {
		return m, err
	}
	if m.version != metaVersion {
		return m, fmt.Errorf("version %d, this program knows %d", m.version, metaVersion)
	}
	return m, nil
}

func (s *Store) storeMeta(j id.Journal, m meta) error {
	if err := vfs.WriteFile(s.fs, s.cfg.Dir, j.String()+suffixMeta, m.encode()); err != nil {
		return fmt.Errorf("store meta of journal %v: %w", j, err)
	}
	return nil
}

func (s *Store) loadMeta(name string) error {
	j, err := id.ParseJournal(strings.TrimSuffix(name, suffixMeta))
	if err != nil {
		return fmt.Errorf("journal directory holds %q: %w", name, err)
	}
	path := s.cfg.Dir + "/" + name
	b, err := vfs.ReadFile(s.fs, path, 4096)
	if err != nil {
		return err
	}
	m, err := decodeMeta(b)
	if err != nil {
		return &CorruptError{path, 0, err}
	}
	s.held(j).meta = m
	return nil
}

// Fence makes durable that epoch fenced the journal: no append and no copy from
// below it is taken any more. A lower epoch than one before is ErrFenced.
func (s *Store) Fence(j id.Journal, epoch uint64) error {
	return s.changeMeta(j, func(m *meta) error {
		if epoch < m.fence {
			return fmt.Errorf("fence journal %v at %d, it is at %d: %w", j, epoch, m.fence, ErrFenced)
		}
		m.fence = epoch
		return nil
	})
}

// Seal makes durable where the journal ends; what is held beyond is forgotten.
func (s *Store) Seal(j id.Journal, end uint64) error {
	return s.changeMeta(j, func(m *meta) error {
		if m.sealed && m.end != end {
			return fmt.Errorf("seal journal %v at %d, it ends at %d", j, end, m.end)
		}
		m.sealed, m.end = true, end
		return nil
	})
}

// Sealed says where the journal was decided to end, if it was.
func (s *Store) Sealed(j id.Journal) (end uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.mu.journals[j]; h != nil && h.meta.sealed {
		return h.meta.end, true
	}
	return 0, false
}

// changeMeta stores before it shows; calls for one journal must not overlap.
func (s *Store) changeMeta(j id.Journal, change func(*meta) error) error {
	s.mu.Lock()
	h := s.mu.journals[j]
	var m meta
	if h != nil {
		m = h.meta
	}
	s.mu.Unlock()
	if h == nil {
		return fmt.Errorf("journal %v: %w", j, ErrUnknown)
	}
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

// removeMeta forgets a journal whose files are gone.
func (s *Store) removeMeta(j id.Journal) error {
	return vfs.RemoveSynced(s.fs, s.cfg.Dir, j.String()+suffixMeta)
}
