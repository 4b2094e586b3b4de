package tiering

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(100, 64)
		a, err := m.get(t.Context(), 64)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-m.shortage():
			t.Error("short although nobody waits")
		default:
		}
		// The first in the queue gives up; those behind it must get in all the same.
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		gaveUp := make(chan error)
		go func() {
			_, err := m.get(short, 90)
			gaveUp <- err
		}()
		synctest.Wait()
		quit := m.shortage()
		got := make(chan *buffer)
		go func() {
			b, err := m.get(t.Context(), 40)
			if err != nil {
				t.Error(err)
			}
			got <- b
		}()
		synctest.Wait()
		if m.try(1) != nil {
			t.Error("somebody jumped the queue")
		}
		select {
		case <-quit:
		default:
			t.Error("not short although two wait")
		}
		if err := <-gaveUp; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		a.release()
		b := <-got
		if m.inUse() != 40 {
			t.Errorf("%d bytes are counted", m.inUse())
		}
		select {
		case <-m.shortage():
			t.Error("short although nobody waits any more")
		default:
		}
		b.retain()
		b.release()
		b.release()
		if m.inUse() != 0 {
			t.Errorf("%d bytes are counted at the end", m.inUse())
		}
		defer func() {
			if recover() == nil {
				t.Error("a second release passed")
			}
		}()
		b.release()
	})
}
