package reserve

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Reserve
		want := func(beside, kept int64) {
			t.Helper()
			if got := r.Beside(beside); got != kept {
				t.Errorf("%d bytes are kept beside %d, not %d", got, beside, kept)
			}
		}
		want(0, 0)
		r.Refused(100)
		want(99, 100)
		want(100, 0)
		r.Refused(50) // room is kept for a larger one
		want(10, 100)
		r.Granted(50)
		want(10, 100)
		r.Granted(100)
		want(10, 0)
		r.Refused(100)
		time.Sleep(Span + 1)
		want(10, 0)
		r.Refused(50) // the larger one didn't come back
		want(10, 50)
	})
}
