package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"varve/s3store"
)

func (s *suite) putReplaces() {
	s.put("a/b", "first")
	s.holds("a/b", []byte("first"))
	s.put("a/b", "the second is longer")
	s.holds("a/b", []byte("the second is longer"))
	s.put("a/b", "3")
	s.holds("a/b", []byte("3"))
	s.lists("", "", []string{"a/b"})
}

func (s *suite) emptyObject() {
	s.put("empty", "")
	s.holds("empty", nil)
	object, err := s.store.Head(s.ctx, "empty")
	s.ok(err)
	if object.Size != 0 {
		s.Fatalf("size %d", object.Size)
	}
	_, err = s.tryGet("empty", 0, 1)
	s.is(err, s3store.ErrRange)
	s.is(s.store.PutIfAbsent(s.ctx, "empty", strings.NewReader("")), s3store.ErrExists)
}

func (s *suite) absentObjects() {
	s.put("there/too", "x")
	for _, key := range []string{"nothing", "there", "there/too/deep", "ther"} {
		_, err := s.store.Head(s.ctx, key)
		s.is(err, s3store.ErrNotFound)
		_, err = s.tryGet(key, 0, -1)
		s.is(err, s3store.ErrNotFound)
		_, err = s.tryGet(key, 5, 5)
		s.is(err, s3store.ErrNotFound)
	}
	s.lists("nothing", "", nil)
	s.lists("nothing/at/all/", "", nil)
}

func (s *suite) putIfAbsent() {
	s.ok(s.store.PutIfAbsent(s.ctx, "a", strings.NewReader("mine")))
	s.is(s.store.PutIfAbsent(s.ctx, "a", strings.NewReader("yours")), s3store.ErrExists)
	s.holds("a", []byte("mine"))
	s.ok(s.store.Delete(s.ctx, []string{"a"}))
	s.ok(s.store.PutIfAbsent(s.ctx, "a", strings.NewReader("again")))
	s.holds("a", []byte("again"))
}

func (s *suite) oneWinner() {
	for round := range 10 {
		s.contest(fmt.Sprintf("prize/%d", round), 8, 64)
	}
}

func (s *suite) bigOneWinner() { s.contest("prize", 3, s.bigBytes) }

// contest has writers race for a key: one succeeds, the others are told that it
// exists, and the object is the winner's.
func (s *suite) contest(key string, writers, size int) {
	s.Helper()
	var winners atomic.Int32
	var winner atomic.Int64
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			err := s.store.PutIfAbsent(s.ctx, key, bytes.NewReader(noise(size, uint64(i))))
			for err != nil && s3store.Transient(err) { // stores may answer a conflict so
				err = s.store.PutIfAbsent(s.ctx, key, bytes.NewReader(noise(size, uint64(i))))
			}
			if err == nil {
				winners.Add(1)
				winner.Store(int64(i))
			} else if !errors.Is(err, s3store.ErrExists) {
				s.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wait.Wait()
	if winners.Load() != 1 {
		s.Fatalf("%d of %d writers won %q", winners.Load(), writers, key)
	}
	s.holds(key, noise(size, uint64(winner.Load())))
}

func (s *suite) ranges() {
	data := noise(1000, 7)
	s.put("r", string(data))
	for _, r := range []struct{ off, length, from, to int64 }{
		{0, 1, 0, 1}, {0, 1000, 0, 1000}, {0, -1, 0, 1000}, {0, 5000, 0, 1000},
		{999, 1, 999, 1000}, {999, -1, 999, 1000}, {999, 100, 999, 1000},
		{500, 250, 500, 750}, {1, -1, 1, 1000}, {500, 1 << 40, 500, 1000},
	} {
		if got := s.get("r", r.off, r.length); !bytes.Equal(got, data[r.from:r.to]) {
			s.Errorf("range %d+%d: %d bytes, want %d", r.off, r.length, len(got), r.to-r.from)
		}
	}
	for _, r := range [][2]int64{{1000, 1}, {1000, -1}, {1001, 1}, {1 << 40, -1}} {
		_, err := s.tryGet("r", r[0], r[1])
		s.is(err, s3store.ErrRange)
	}
}

func (s *suite) invalidRanges() {
	s.put("r", "data")
	for _, r := range [][2]int64{{0, 0}, {2, 0}, {-1, -1}, {-1, 3}} {
		_, err := s.tryGet("r", r[0], r[1])
		s.is(err, s3store.ErrInvalid)
	}
}

func (s *suite) bigObject() {
	data := noise(s.bigBytes, 3)
	s.ok(s.store.Put(s.ctx, "big", bytes.NewReader(data)))
	s.holds("big", data)
	object, err := s.store.Head(s.ctx, "big")
	s.ok(err)
	if object.Size != int64(len(data)) {
		s.Fatalf("size %d, want %d", object.Size, len(data))
	}
	end := int64(len(data))
	for _, off := range []int64{0, 1, end / 2, end - 10} {
		if got := s.get("big", off, 100); !bytes.Equal(got, data[off:min(off+100, end)]) {
			s.Errorf("range at %d differs", off)
		}
	}
	s.is(s.store.PutIfAbsent(s.ctx, "big", bytes.NewReader(data)), s3store.ErrExists)
	s.put("big", "small")
	s.holds("big", []byte("small"))
}

// brokenBody ends before its size.
type brokenBody struct {
	*bytes.Reader
	size int64
}

func (b brokenBody) Size() int64 { return b.size }

func (s *suite) failingBody() {
	for name, size := range map[string]int{"short": 1000, "big": s.bigBytes} {
		body := brokenBody{bytes.NewReader(noise(size-10, 1)), int64(size)}
		s.is(s.store.Put(s.ctx, name, body), s3store.ErrInvalid)
		s.is(s.store.PutIfAbsent(s.ctx, name, body), s3store.ErrInvalid)
		_, err := s.store.Head(s.ctx, name)
		s.is(err, s3store.ErrNotFound)
	}
	s.lists("", "", nil)
}

func (s *suite) head() {
	s.put("dir/h", "12345")
	object, err := s.store.Head(s.ctx, "dir/h")
	s.ok(err)
	if object.Key != "dir/h" || object.Size != 5 {
		s.Fatalf("got %+v", object)
	}
	if age := time.Since(object.Modified).Abs(); age > time.Hour {
		s.Fatalf("modified %s away from now", age)
	}
	s.ok(s.store.List(s.ctx, "", "", func(listed s3store.Object) bool {
		if listed.Key != object.Key || listed.Size != object.Size || listed.Modified.Sub(object.Modified).Abs() > time.Second {
			s.Errorf("list says %+v, head %+v", listed, object)
		}
		return true
	}))
}

// concurrency has each key written by one goroutine and read by others, which
// must see nothing or one whole version.
func (s *suite) concurrency() {
	var wait sync.WaitGroup
	for k := range 4 {
		key := fmt.Sprintf("c/%d", k)
		versions := [][]byte{bytes.Repeat([]byte{'a'}, 3000), bytes.Repeat([]byte{'b'}, 5000)}
		wait.Go(func() {
			for i := range 20 {
				if err := s.store.Put(s.ctx, key, bytes.NewReader(versions[i%2])); err != nil {
					s.Error(err)
				}
			}
		})
		wait.Go(func() {
			for range 20 {
				data, err := s.tryGet(key, 0, -1)
				if errors.Is(err, s3store.ErrNotFound) {
					continue
				}
				if err != nil || !bytes.Equal(data, versions[0]) && !bytes.Equal(data, versions[1]) {
					s.Errorf("read %d bytes %.20q: %v", len(data), data, err)
				}
			}
		})
	}
	wait.Wait()
}
