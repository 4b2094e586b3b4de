package kafka

import (
	"errors"
	"runtime"
	"testing"
)

// Batches that are large inside wait for room, and hold up no small ones; what one takes
// it returns, also when it is refused.
func TestLargeInsideWaitsForRoom(t *testing.T) {
	for c := Gzip; c <= Zstd; c++ {
		t.Run(c.String(), func(t *testing.T) {
			large, err := Build(c, []NewRecord{{Value: make([]byte, 40<<20)}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			count := func(b Batch, limit int) (n int, err error) {
				err = b.Records(limit, func(*Record) error { n++; return nil })
				return n, err
			}
			for range largeUnits {
				largeRoom <- struct{}{}
			}
			taken := largeUnits
			giveBack := func() {
				for ; taken > 0; taken-- {
					<-largeRoom
				}
			}
			defer giveBack()
			done := make(chan error, 1)
			go func() {
				n, err := count(large, 64<<20)
				if err == nil && n != 1 {
					err = errors.New("not one record")
				}
				done <- err
			}()
			for len(largeTurn) == 0 {
				select {
				case err := <-done:
					t.Fatalf("it didn't wait; %v", err)
				default:
					runtime.Gosched()
				}
			}
			if n, err := count(build(t, c, 3), 1<<20); n != 3 || err != nil {
				t.Errorf("a small batch beside it: %d records, %v", n, err)
			}
			if _, err := count(large, 1<<20); !errors.Is(err, ErrTooLarge) {
				t.Errorf("beyond its limit: %v", err)
			}
			giveBack()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if len(largeRoom)+len(largeTurn)+len(opening) != 0 {
				t.Errorf("%d units, %d turns, %d batches are still held", len(largeRoom), len(largeTurn), len(opening))
			}
		})
	}
}
