package wal

import (
	"errors"
	"fmt"

	"varve/internal/id"
)

// Cursor reads a journal's entries as they are in the files, one run after another,
// from memory where they are still there: what members are sent.
type Cursor struct {
	reads *reader
	id    id.Journal
	next  uint64
	pos   Pos
	buf   []byte
}

// Run is a range of whole, contiguous entries. It must be released.
type Run struct {
	Bytes       []byte
	First, Last uint64
	view        View
}

// Release returns the memory.
func (r *Run) Release() {
	r.view.Release()
	r.Bytes = nil
}

// errEnough ends a walk early.
var errEnough = errors.New("enough")

// Cursor stands after entry number after. The journal was recovered, or is
// followed or written here. It fails with ErrGone if the entry is not here any more.
func (s *Store) Cursor(j id.Journal, after uint64) (*Cursor, error) {
	c := &Cursor{reads: s.reads, id: j, next: after + 1}
	h, err := s.journals.member(j)
	if err != nil {
		return nil, err
	}
	first, err := h.first()
	switch {
	case err != nil:
		return nil, err
	case after+1 < first.first:
		return nil, fmt.Errorf("journal %v entry %d, the first is %d: %w", j, after+1, first.first, ErrGone)
	case after+1 == first.first:
		c.pos = first.at
		return c, nil
	}
	s.journals.mu.Lock()
	w := h.writer
	s.journals.mu.Unlock()
	if w != nil {
		if pos, ok := w.after(j, after); ok {
			c.pos = pos
			return c, nil
		}
	}
	if c.pos, err = h.after(after); err != nil {
		return nil, err
	}
	return c, nil
}

// after returns the place after an entry that is closed and not settled.
func (w *Writer) after(j id.Journal, number uint64) (pos Pos, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	jw := w.mu.current
	if jw.id != j || len(jw.line) == 0 || number < jw.line[0].number || number > jw.closed {
		return 0, false
	}
	e := jw.nth(number)
	return e.header.pos + Pos(e.header.length), true
}

// after returns the place after an entry that is in a file's directories.
func (h *journal) after(number uint64) (Pos, error) {
	files, _ := h.snapshot()
	for _, f := range files {
		if h.in.indexes.lastIn(f) < number {
			continue
		}
		pos, err := h.in.indexes.after(f, number)
		if err != nil && !h.has(f) {
			break // trimmed meanwhile
		}
		if err != nil || pos != 0 {
			return pos, err
		}
		break
	}
	return 0, fmt.Errorf("journal %v entry %d: %w", h.id, number, ErrGone)
}

// At is the place after what was read.
func (c *Cursor) At() Pos { return c.pos }

// After is the number of the entry before the next.
func (c *Cursor) After() uint64 { return c.next - 1 }

// Next returns the next entries up to number upTo, which must be closed or durable,
// together at most limit bytes but at least one. Empty: there are none up to there.
// The run is valid until the next call of Next.
func (c *Cursor) Next(upTo uint64, limit int) (Run, error) {
	if c.next > upTo {
		return Run{}, nil
	}
	following := makePos(c.pos.file()+1, blockBytes)
	for _, pos := range []Pos{c.pos, following} {
		if r, ok := c.fromMemory(pos, upTo, limit); ok {
			return r, nil
		}
	}
	r, err := c.fromFile(c.pos, upTo, limit)
	if errors.Is(err, errNoEntry) {
		r, err = c.fromFile(following, upTo, limit)
	}
	if errors.Is(err, errNoEntry) {
		err = fmt.Errorf("journal %v: no entry %d at %v: %w", c.id, c.next, c.pos, ErrGone)
	}
	return r, err
}

// fromMemory pins entries in the tail cache.
func (c *Cursor) fromMemory(pos Pos, upTo uint64, limit int) (Run, bool) {
	v, ok := c.reads.tail.rest(c.id, pos)
	if !ok {
		return Run{}, false
	}
	n, last := 0, c.next-1
	for n < len(v.Bytes) && last < upTo {
		h, err := c.header(v.Bytes[n:], pos+Pos(n), last+1)
		if err != nil || n > 0 && n+int(h.length) > limit || int(h.length) > len(v.Bytes)-n {
			break
		}
		n += int(h.length)
		last++
	}
	if n == 0 {
		v.Release()
		return Run{}, false
	}
	return c.advance(Run{Bytes: v.Bytes[:n], First: c.next, Last: last, view: v}, pos), true
}

func (c *Cursor) advance(r Run, pos Pos) Run {
	c.next, c.pos = r.Last+1, pos+Pos(len(r.Bytes))
	return r
}

// header parses the header of the entry with that number and place.
func (c *Cursor) header(b []byte, pos Pos, number uint64) (header, error) {
	h, err := parseHeader(b, MaxFileBytes)
	if err == nil && (h.journal != c.id || h.pos != pos || h.number != number) {
		err = errNoEntry
	}
	return h, err
}

// fromFile copies entries out of a file, or from the tail cache if it won't pin.
func (c *Cursor) fromFile(pos Pos, upTo uint64, limit int) (Run, error) {
	f := c.reads.journals.file(c.id, pos.file())
	if f == nil {
		return Run{}, errNoEntry
	}
	n, last := 0, c.next-1
	for last < upTo && pos.off()+int64(n)+blockBytes <= f.size {
		at := pos + Pos(n)
		c.buf = grown(c.buf, n+blockBytes)
		err := c.reads.readAt(c.id, c.buf[n:n+blockBytes], at)
		if errors.Is(err, ErrGone) {
			break // the entries go on in the next file
		}
		if err != nil {
			return Run{}, err
		}
		h, err := c.header(c.buf[n:], at, last+1)
		if err != nil || at.off()+int64(h.length) > f.size || n > 0 && n+int(h.length) > limit {
			break
		}
		c.buf = grown(c.buf, n+int(h.length))
		if err := c.reads.readAt(c.id, c.buf[n+blockBytes:n+int(h.length)], at+blockBytes); h.length > blockBytes && err != nil {
			return Run{}, err
		}
		n += int(h.length)
		last++
	}
	if n == 0 {
		return Run{}, errNoEntry
	}
	return c.advance(Run{Bytes: c.buf[:n], First: c.next, Last: last}, pos), nil
}

// grown returns b with at least n bytes of length.
func grown(b []byte, n int) []byte {
	if n <= len(b) {
		return b
	}
	return append(b, make([]byte, max(n-len(b), len(b)/2))...)
}
