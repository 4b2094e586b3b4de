package wal

import (
	"slices"
	"testing"
)

// numbers returns the numbers of files.
func numbers(files []*file) (all []uint32) {
	for _, f := range files {
		all = append(all, f.num)
	}
	return all
}

// A trim marks only files that are full, hold no entry above the number, and end before the
// place; the others may be read by an heir.
func TestTrimmedFilesHoldNothingThatIsNeeded(t *testing.T) {
	list := func() fileList {
		return fileList{
			{num: 2, complete: true, last: 10, final: 10},
			{num: 3, complete: true, last: 20, final: 20},
			{num: 4, complete: true, last: 29, final: 30}, // the last entry is not synced yet
			{num: 5, last: 29},
		}
	}
	for _, c := range []struct {
		at     Pos
		number uint64
		want   []uint32
	}{
		{^Pos(0), 100, []uint32{2, 3}},
		{^Pos(0), 19, []uint32{2}},
		{^Pos(0), 9, nil},
		{makePos(3, blockBytes), 100, []uint32{2}},
		{makePos(2, blockBytes), 100, nil},
	} {
		l := list()
		l.trim(c.at, c.number)
		trimmed := slices.DeleteFunc(slices.Clone(l), func(f *file) bool { return !f.trimmed })
		if got := numbers(trimmed); !slices.Equal(got, c.want) {
			t.Errorf("trimmed before %v up to entry %d: %v, want %v", c.at, c.number, got, c.want)
		}
	}
}

// A split changes neither the list that it is made from nor what is appended to that later:
// others may hold it.
func TestSplitSharesNothing(t *testing.T) {
	l := fileList{{num: 2}, {num: 3}, {num: 5}}
	before, rest := l.split(3)
	if !slices.Equal(numbers(before), []uint32{2}) || !slices.Equal(numbers(rest), []uint32{3, 5}) {
		t.Errorf("split at 3: %v and %v", numbers(before), numbers(rest))
	}
	_ = append(before, &file{num: 9})
	_ = append(rest, &file{num: 9})
	if got := numbers(l); !slices.Equal(got, []uint32{2, 3, 5}) {
		t.Errorf("the list became %v", got)
	}
	if l.find(3) != l[1] || l.find(4) != nil || fileList(nil).find(0) != nil {
		t.Error("find returns another file, or one that isn't there")
	}
	if got := numbers(l.from(4)); !slices.Equal(got, []uint32{5}) {
		t.Errorf("from 4: %v", got)
	}
}
