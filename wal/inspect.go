package wal

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"varve/internal/id"
	"varve/internal/vfs"
)

// Inspector receives what Inspect finds. All of its functions must be set.
type Inspector struct {
	// Journal is what the store keeps about a journal: the epoch that fenced it,
	// and where it was decided to end, if it was. Its files follow.
	Journal func(j id.Journal, fence uint64, sealed bool, end uint64)
	// File begins a file; err is why its header can't be believed, and then
	// nothing is read from it.
	File func(path string, size int64, err error)
	// Entry is the next intact entry of the file. It is valid during the call.
	Entry func(e *Entry)
	// End has the place where the intact entries of the file end, and what is there: why is
	// nil at the file's end.
	End func(at int64, why error)
	// Other is a file of the directory that holds no entries.
	Other func(name string)
}

// Inspect reads the journals in a directory and tells what it finds, in order of
// journals and files. It proves every checksum and changes nothing. It takes no
// lock: of a directory in use it shows what is there while it reads.
func Inspect(fsys vfs.FS, dir string, in Inspector) error {
	return inspect(fsys, dir, in, true)
}

func inspect(fsys vfs.FS, dir string, in Inspector, entries bool) error {
	names, err := fsys.List(dir)
	if err != nil {
		return fmt.Errorf("list journals: %w", err)
	}
	journals := map[id.Journal][]uint32{}
	for _, name := range names {
		if j, num, ok := parseFileName(name); ok {
			journals[j] = append(journals[j], num)
			continue
		}
		j, err := id.ParseJournal(strings.TrimSuffix(name, suffixMeta))
		if err != nil || !strings.HasSuffix(name, suffixMeta) {
			in.Other(name)
			continue
		}
		if journals[j] == nil {
			journals[j] = []uint32{}
		}
	}
	order := make([]id.Journal, 0, len(journals))
	for j := range journals {
		order = append(order, j)
	}
	sort.Slice(order, func(a, b int) bool {
		x, y := order[a], order[b]
		return x.Writer < y.Writer || x.Writer == y.Writer && x.Seq < y.Seq
	})
	for _, j := range order {
		if err := inspectMeta(fsys, dir, j, in); err != nil {
			return err
		}
		for _, num := range journals[j] { // in order, as names are
			if err := inspectFile(fsys, dir, j, num, in, entries); err != nil {
				return err
			}
		}
	}
	return nil
}

func inspectMeta(fsys vfs.FS, dir string, j id.Journal, in Inspector) error {
	path := dir + "/" + j.String() + suffixMeta
	b, err := vfs.ReadFile(fsys, path, 4096)
	if errors.Is(err, vfs.ErrNotExist) {
		in.Journal(j, 0, false, 0)
		return nil
	}
	if err != nil {
		return err
	}
	m, err := decodeMeta(b)
	if err != nil {
		return &CorruptError{path, 0, err}
	}
	in.Journal(j, m.fence, m.sealed, m.end)
	return nil
}

func inspectFile(fsys vfs.FS, dir string, j id.Journal, num uint32, in Inspector, entries bool) error {
	path := dir + "/" + fileName(j, num)
	opened, err := fsys.Open(path, 0)
	if err != nil {
		return fmt.Errorf("open journal file: %w", err)
	}
	defer opened.Close()
	size, err := opened.Size()
	if err != nil {
		return fmt.Errorf("size of journal file: %w", err)
	}
	f := &file{journal: j, num: num, path: path, size: size, reader: opened}
	err = checkFile(f)
	in.File(path, size, err)
	if err != nil || !entries {
		return nil
	}
	sc := &scanner{journal: j}
	for at := int64(blockBytes); ; {
		if at >= size {
			in.End(at, nil)
			return nil
		}
		h, dir, err := sc.entry(f, at)
		if err == nil {
			err = sc.follow(h.number, h.pos+Pos(h.length))
		}
		if err != nil {
			in.End(at, err)
			return nil
		}
		e := Entry{Number: h.number, Pos: h.pos, Length: h.length}
		if e.Records, err = parseDirectory(nil, &h, dir); err != nil {
			in.End(at, err)
			return nil
		}
		in.Entry(&e)
		at += int64(h.length)
	}
}

// checkFile compares a file's header with its name and size.
func checkFile(f *file) error {
	head := vfs.Aligned(blockBytes)
	if err := readUpTo(f, head, 0); err != nil {
		return err
	}
	j, num, size, err := parseFileHeader(head)
	switch {
	case err != nil:
		return err
	case j != f.journal || num != f.num:
		return fmt.Errorf("its header is of file %s", fileName(j, num))
	case size != f.size:
		return fmt.Errorf("its header says %d bytes", size)
	}
	return nil
}
