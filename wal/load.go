package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"varve/internal/id"
	"varve/internal/vfs"
)

// load reads the names in the directory, meta files, and the headers of files, but no
// entries. js is not yet shared.
func (js *journals) load(spares *spares) error {
	names, err := js.disk.fs.List(js.disk.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, spareName):
			spares.found(name)
		case strings.HasSuffix(name, ".tmp"):
			err = js.disk.fs.Remove(js.disk.path(name))
		case strings.HasSuffix(name, suffixMeta):
			err = js.loadMeta(name)
		case strings.HasSuffix(name, suffixFile):
			err = js.loadFile(name)
		}
		if err != nil {
			return err
		}
	}
	for j, h := range js.mu.of {
		if h.meta.version == 0 && h.damaged == nil {
			return &CorruptError{js.disk.path(metaName(j)), 0, errors.New("files without a meta file")}
		}
		slices.SortFunc(h.files, func(a, b *file) int { return int(a.num) - int(b.num) })
		h.giveUp(h.meta.start().at)
	}
	js.recount()
	return nil
}

func (js *journals) loadMeta(name string) error {
	j, err := id.ParseJournal(strings.TrimSuffix(name, suffixMeta))
	if err != nil {
		return fmt.Errorf("journal directory holds %q: %w", name, err)
	}
	path := js.disk.path(name)
	b, err := vfs.ReadFile(js.disk.fs, path, 4096)
	if err != nil {
		return err
	}
	h := js.enter(j)
	h.meta, err = decodeMeta(b)
	if errors.Is(err, errNoEntry) {
		h.meta = meta{}
		h.damage(&CorruptError{path, 0, err})
		return nil
	}
	if err != nil {
		return &CorruptError{path, 0, err}
	}
	return nil
}

func (js *journals) loadFile(name string) error {
	j, num, ok := parseFileName(name)
	if !ok {
		return fmt.Errorf("journal directory holds %q, which is no journal file", name)
	}
	path := js.disk.path(name)
	reader, err := js.disk.fs.Open(path, 0)
	if err != nil {
		return err
	}
	f, err := js.disk.open(path, 0)
	if err != nil {
		return err
	}
	h := js.enter(j)
	size, err := readFileHeader(f, j, num)
	if errors.Is(err, errDamaged) {
		f.Close()
		reader.Close()
		h.bad = append(h.bad, path)
		h.damage(&CorruptError{path, 0, err})
		return nil
	}
	if err != nil {
		return &CorruptError{path, 0, err}
	}
	h.files = append(h.files, &file{journal: j, num: num, path: path, size: size, f: f, reader: reader, complete: true})
	return nil
}

// errDamaged: what a disk or an accident may do to a file, unlike another version.
var errDamaged = errors.New("it can't be read")

func readFileHeader(f vfs.File, j id.Journal, num uint32) (size int64, err error) {
	head := vfs.Aligned(blockBytes)
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return 0, fmt.Errorf("%w: %w", errDamaged, err)
	}
	hj, hnum, size, err := parseFileHeader(head)
	if errors.Is(err, errNoEntry) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	} else if err == nil && (hj != j || hnum != num) {
		err = fmt.Errorf("%w: header names %v file %d", errDamaged, hj, hnum)
	}
	return size, err
}
