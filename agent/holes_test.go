package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/admin"
	"varve/health"
	"varve/tiering/object"
)

// fetchAt reads a partition from an offset until it gets records or an error.
func (r *running) fetchAt(topic string, offset int64) (first int64, err error) {
	r.t.Helper()
	cl := r.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(offset)}}), kgo.WithDecompressor(ownCodecs{}), kgo.FetchMaxWait(50*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	f := cl.PollFetches(ctx)
	if err := f.Err(); err != nil {
		return -1, err
	}
	return f.Records()[0].Offset, nil
}

func (r *running) holes() (holes []health.Hole) {
	r.t.Helper()
	err := r.console.Load().TierHoles(r.t.Context(), nil, func(v *admin.TierLook) error {
		if h := v.Hole; h != nil {
			holes = append(holes, *h)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return holes
}

// TestHoleInTheTier: an object that is gone costs a consumer of its offsets an error that it
// sees, and nobody else anything; health, metric and command tell; the object that is back is
// read again, and one that is given up is passed over.
func TestHoleInTheTier(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	for from := 0; from < 30; from += 10 {
		a.produce("t", from, from+10)
		if err := a.tier.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.stop(); err != nil { // from here on nothing is read from journals
		t.Fatal(err)
	}
	a = w.start()
	lost := a.owned.All()[0].Head().Slices[1]
	key := object.Key(lost.Object)
	body, err := w.bucket.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.bucket.Delete(t.Context(), []string{key}); err != nil {
		t.Fatal(err)
	}
	if holes := a.holes(); len(holes) != 1 || holes[0].From != lost.Base || holes[0].To != lost.End || holes[0].Object != key || holes[0].Topic != "t" {
		t.Errorf("%+v", holes)
	}
	for offset := lost.Base; offset < lost.End; offset += 3 {
		if _, err := a.fetchAt("t", offset); !errors.Is(err, kerr.UnknownServerError) {
			t.Errorf("at %d: %v", offset, err)
		}
	}
	for _, offset := range []int64{0, lost.Base - 1, lost.End} {
		if first, err := a.fetchAt("t", offset); err != nil || first != offset {
			t.Errorf("at %d: %d, %v", offset, first, err)
		}
	}
	if h := a.console.Load().Health(t.Context()); h.Level != health.Degraded || !strings.Contains(strings.Join(a.console.Load().Notes(t.Context()), "\n"), key) {
		t.Errorf("%+v", h)
	}
	if n := len(a.tier.Holes()); n != 1 {
		t.Errorf("%d holes are known", n)
	}

	if err := w.bucket.Put(t.Context(), key, bytes.NewReader(kept)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.console.Load().TierSkip(t.Context(), "t", 0, lost.Base, lost.End); err == nil {
		t.Error("records that can be read were given up")
	}
	a.until("it is read again", func() bool {
		first, err := a.fetchAt("t", lost.Base)
		return err == nil && first == lost.Base
	})
	a.tier.Recheck(t.Context(), a.Agent.holes.canRead)
	if n := len(a.tier.Holes()); n != 0 {
		t.Errorf("%d holes are known", n)
	}

	if err := w.bucket.Delete(t.Context(), []string{key}); err != nil {
		t.Fatal(err)
	}
	skipped, err := a.console.Load().TierSkip(t.Context(), "t", 0, lost.Base, lost.End)
	if err != nil || len(skipped.Ranges) != 1 {
		t.Fatalf("%+v, %v", skipped, err)
	}
	if first, err := a.fetchAt("t", lost.Base); err != nil || first != lost.End {
		t.Errorf("after it was given up: %d, %v", first, err)
	}
	if holes := a.holes(); len(holes) != 0 || len(a.tier.Holes()) != 0 {
		t.Errorf("%+v", holes)
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	a = w.start()
	if first, err := a.fetchAt("t", lost.Base); err != nil || first != lost.End {
		t.Errorf("after a restart: %d, %v", first, err)
	}
}
