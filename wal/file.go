package wal

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"varve/internal/id"
	"varve/internal/vfs"
)

const (
	suffixFile  = ".wal"
	suffixIndex = ".idx"
	suffixMeta  = ".meta"
)

// file is one file of a journal.
type file struct {
	journal id.Journal
	num     uint32
	path    string
	size    int64
	f       vfs.File // as writers use it: perhaps direct
	reader  vfs.File // through the page cache

	end atomic.Int64 // of what is committed, while this process writes the file

	// io guards against reading while the file is recycled; gone reports that it was.
	io   sync.RWMutex
	gone bool

	// Guarded by journals.mu from the moment that the file is in a journal.
	first    uint64 // the lowest entry, once someone asked; 0: not known
	last     uint64 // the highest committed entry
	appends  int64  // in the entries up to there
	complete bool   // takes no entries beyond final
	final    uint64
	indexed  bool // its index is on disk
	trimmed  bool
	dirs     []byte // its entries' directories, as the index has them; dropped once indexed
}

func fileName(j id.Journal, num uint32) string {
	return fmt.Sprintf("%v.%08x%s", j, num, suffixFile)
}

func parseFileName(name string) (j id.Journal, num uint32, ok bool) {
	base, isFile := strings.CutSuffix(name, suffixFile)
	js, hex, found := strings.Cut(base, ".")
	n, err := strconv.ParseUint(hex, 16, 32)
	j, jerr := id.ParseJournal(js)
	ok = isFile && found && err == nil && jerr == nil && fileName(j, uint32(n)) == name
	return j, uint32(n), ok
}

// readAt fills p from the file unless it is gone.
func (f *file) readAt(p []byte, off int64) error {
	f.io.RLock()
	defer f.io.RUnlock()
	if f.gone {
		return ErrGone
	}
	n, err := f.reader.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %s at %d: %w", f.path, off, err)
}

// retire ends all reading.
func (f *file) retire() {
	f.io.Lock()
	f.gone = true
	f.io.Unlock()
}

// readDirect fills p as readAt does, around the page cache if the file is direct;
// then p and off must be aligned.
func (f *file) readDirect(p []byte, off int64) error {
	f.io.RLock()
	defer f.io.RUnlock()
	if f.gone {
		return ErrGone
	}
	n, err := f.f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return fmt.Errorf("read %s at %d: %w", f.path, off, err)
}

// written is how far the file holds committed entries: the whole file once it is
// complete.
func (f *file) written() int64 {
	if end := f.end.Load(); end > 0 {
		return end
	}
	return f.size
}

// full reports whether the file has all the entries that it will ever have, committed;
// journals.mu is held.
func (f *file) full() bool { return f.complete && f.last == f.final }

func (f *file) close() {
	f.f.Close()
	f.reader.Close()
}

// zeroStep is how much is zeroed at a time.
const zeroStep = 1 << 20

// fill writes zeroes over a new file, so that later syncs change no metadata.
func fill(f vfs.File, size int64) error {
	zero := vfs.Aligned(zeroStep)
	for at := int64(0); at < size; at += zeroStep {
		if _, err := f.WriteAt(zero[:min(zeroStep, size-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// writeHeader makes the file the journal's.
func writeHeader(f vfs.File, j id.Journal, num uint32, size int64) error {
	b := vfs.Aligned(blockBytes)
	putFileHeader(b, j, num, size)
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	return f.Sync()
}

// The index of a file: magic, version, the file's number, then for each entry
// its number, position, length and directory, then a CRC-32C of all before it.
const (
	indexMagic    = "VARVEIDX"
	indexMaxBytes = 1 << 30
)

// appendDir adds one entry to what becomes a file's index.
func appendDir(dst []byte, h *header, dir []byte) []byte {
	if len(dst) == 0 {
		dst = append(dst, indexMagic...)
		dst = binary.LittleEndian.AppendUint32(dst, formatVersion)
		dst = binary.LittleEndian.AppendUint32(dst, h.pos.file())
	}
	dst = binary.LittleEndian.AppendUint64(dst, h.number)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.pos))
	dst = binary.LittleEndian.AppendUint32(dst, h.length)
	dst = binary.LittleEndian.AppendUint32(dst, h.dirAt)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(dir)))
	return append(dst, dir...)
}

const indexHeadBytes = len(indexMagic) + 8

// joinDirs puts the entries of more, which follow, after those of dirs.
func joinDirs(dirs, more []byte) []byte {
	if len(dirs) == 0 {
		return more
	}
	return append(dirs, more[indexHeadBytes:]...)
}

// checkIndexHead reports whether an index begins here.
func checkIndexHead(dirs []byte) error {
	if len(dirs) < indexHeadBytes || string(dirs[:len(indexMagic)]) != indexMagic {
		return fmt.Errorf("no index of a journal file: %w", errNoEntry)
	}
	if v := binary.LittleEndian.Uint32(dirs[len(indexMagic):]); v != formatVersion {
		return fmt.Errorf("index version %d, this program knows %d", v, formatVersion)
	}
	return nil
}

// dirHeadBytes is what stands before an entry's directory in an index.
const dirHeadBytes = 8 + 8 + 4 + 4 + 4

// nextDirectory returns the number of the entry at the front of b, and how many bytes
// of the index are the entry's.
func nextDirectory(b []byte) (number uint64, n int, err error) {
	if len(b) < dirHeadBytes {
		return 0, 0, fmt.Errorf("%d bytes at the end of an index: %w", len(b), errNoEntry)
	}
	length := binary.LittleEndian.Uint32(b[dirHeadBytes-4:])
	if uint64(length) > uint64(len(b)-dirHeadBytes) {
		return 0, 0, fmt.Errorf("a directory of %d bytes in %d: %w", length, len(b), errNoEntry)
	}
	return binary.LittleEndian.Uint64(b), dirHeadBytes + int(length), nil
}

// eachEntry reads what appendDir made. The Entry is reused between calls.
func eachEntry(dirs []byte, each func(*Entry) error) error {
	if len(dirs) == 0 {
		return nil
	}
	if err := checkIndexHead(dirs); err != nil {
		return err
	}
	var e Entry
	for b := dirs[indexHeadBytes:]; len(b) > 0; {
		number, n, err := nextDirectory(b)
		if err != nil {
			return err
		}
		le := binary.LittleEndian
		e.Number, e.Pos, e.Length = number, Pos(le.Uint64(b[8:])), le.Uint32(b[16:])
		dirAt, dir := le.Uint32(b[20:]), b[dirHeadBytes:n]
		if len(dir)%RecordBytes != 0 {
			return fmt.Errorf("a directory of %d bytes: %w", len(dir), errNoEntry)
		}
		if e.Records, err = parseRecords(e.Records[:0], dirAt, dir); err != nil {
			return err
		}
		if err := each(&e); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// writeIndex stores the index beside the file.
func writeIndex(d *disk, f *file, dirs []byte) error {
	b := binary.LittleEndian.AppendUint32(append([]byte(nil), dirs...), sum(dirs))
	return vfs.WriteFile(d.fs, d.dir, indexName(f), b)
}

func indexName(f *file) string {
	return strings.TrimSuffix(fileName(f.journal, f.num), suffixFile) + suffixIndex
}

// readIndex loads a file's index; an absent or damaged one is errNoEntry.
func readIndex(d *disk, f *file) ([]byte, error) {
	b, err := vfs.ReadFile(d.fs, d.path(indexName(f)), indexMaxBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errNoEntry)
	}
	if len(b) < len(indexMagic)+12 {
		return nil, errNoEntry
	}
	dirs := b[:len(b)-4]
	if binary.LittleEndian.Uint32(b[len(dirs):]) != sum(dirs) || binary.LittleEndian.Uint32(dirs[len(indexMagic)+4:]) != f.num {
		return nil, errNoEntry
	}
	return dirs, nil
}
