package wal

import (
	"cmp"
	"slices"
)

// fileList has the files of a journal, by number. journals.mu guards it.
type fileList []*file

// find returns the file of that number, or nil.
func (l fileList) find(num uint32) *file {
	i, ok := slices.BinarySearchFunc(l, num, func(f *file, n uint32) int { return cmp.Compare(f.num, n) })
	if !ok {
		return nil
	}
	return l[i]
}

// from returns the files from a number on, in a new list.
func (l fileList) from(num uint32) (rest fileList) {
	_, rest = l.split(num)
	return rest
}

// split returns the files before a number and those from it on, in new lists.
func (l fileList) split(num uint32) (before, rest fileList) {
	for _, f := range l {
		if f.num < num {
			before = append(before, f)
		} else {
			rest = append(rest, f)
		}
	}
	return before, rest
}

// trim marks the files that are before a place and hold no entry above number.
func (l fileList) trim(at Pos, number uint64) {
	for _, f := range l {
		if f.full() && f.last <= number && f.num < at.file() {
			f.trimmed = true
		}
	}
}

// unindexed returns the files whose index can be written and isn't.
func (l fileList) unindexed() (files []*file) {
	for _, f := range l {
		if f.full() && !f.indexed && !f.trimmed && len(f.dirs) > 0 {
			files = append(files, f)
		}
	}
	return files
}

func olderFile(a, b *file) bool {
	return cmp.Or(a.journal.Compare(b.journal), cmp.Compare(a.num, b.num)) < 0
}
