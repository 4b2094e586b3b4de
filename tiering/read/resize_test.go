package read

import (
	"testing"
	"testing/synctest"
	"time"

	"varve/kafka"
	"varve/tiering/tiertest"
)

// Memory that nobody reads from goes, under pressure at once and else after a while, and what
// is read then is the same.
func TestCachesShrinkAndGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.reader.MemoryBytes, cfg.reader.ReadaheadBytes = 16<<20, 0
		w := newWorld(t, cfg)
		rng := tiertest.Rand(5)
		s := w.Source(1, 0)
		for range 200 {
			s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, 50<<10, 1), 0, w.Now.Millis())
		}
		w.Flush()
		readAll := func() (n int) {
			for o := int64(0); o < s.Head().TieredEnd; {
				d, err := w.reader.Read(t.Context(), s.Head(), s.ID, o, 300<<10)
				if err != nil {
					t.Fatal(err)
				}
				n += d.Bytes
				o = d.Next
				d.Release()
			}
			return n
		}
		want := readAll()
		full, _ := w.reader.Memory()
		w.reader.Halve(2)
		if n, _ := w.reader.Memory(); n > 4<<20 || full <= 4<<20 {
			t.Errorf("of %d bytes %d are left", full, n)
		}
		if n := readAll(); n != want {
			t.Errorf("with a quarter of the memory %d bytes are read, of %d", n, want)
		}
		if n, _ := w.reader.Memory(); n > 4<<20 {
			t.Errorf("%d bytes are in use", n)
		}
		w.reader.Halve(100)
		readAll()
		w.reader.Halve(0)
		readAll()
		if n, _ := w.reader.Memory(); n != full {
			t.Errorf("with all the memory %d bytes are in use, not %d", n, full)
		}
		if w.reader.Tidy() != 0 {
			t.Error("what was just read is dropped")
		}
		time.Sleep(unusedAfter + time.Second)
		if freed := w.reader.Tidy(); freed == 0 {
			t.Error("nothing is dropped")
		}
		if data, meta := w.reader.Memory(); data+meta != 0 {
			t.Errorf("%d and %d bytes are left of what nobody reads", data, meta)
		}
	})
}
