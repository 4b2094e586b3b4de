package read

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"varve/s3store"
)

// A reader that has less patience than the bucket takes, and asks again, gets there: its
// loads go on.
func TestLoadsGoOnForReadersThatAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.reader.HedgeAfter, cfg.reader.ReadaheadBytes = 0, 0
		w, s := tiered(t, cfg, 1, 4, 1, 20<<10)
		w.fresh()
		var gets atomic.Int64
		w.Inject(func(c s3store.Call) s3store.Fault {
			gets.Add(1)
			return s3store.Fault{Delay: 2500 * time.Millisecond}
		})
		read := func(cause error) error {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
			defer cancel()
			d, err := w.reader.Read(ctx, s.Head(), s.ID, 0, 1000)
			d.Release()
			return err
		}
		tries := 1
		for read(ErrLater) != nil && tries < 20 {
			tries++
		}
		if n := gets.Load(); tries < 3 || tries == 20 || n > 3 {
			t.Errorf("%d tries, %d GETs", tries, n)
		}
	})
}
