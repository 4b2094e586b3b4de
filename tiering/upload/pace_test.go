package upload

import (
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// What waits is spread over the time that it may wait, until too much waits.
func TestPace(t *testing.T) {
	cfg := testConfig()
	w := newWorld(t, cfg)
	w.Cancel()
	w.upload.pace.unhurried = 10 << 30
	for _, c := range []struct {
		name    string
		waiting int64
		hurry   bool
		most    int64
		want    rate.Limit
	}{
		{"little", 1, false, 0, stages * minPace},
		{"spread", 6 << 30, false, 0, stages * rate.Limit(6<<30) / 30},
		{"too much", 10<<30 + 1, false, 0, rate.Inf},
		{"hurry", 1, true, 0, rate.Inf},
		{"configured bound", 10<<30 + 1, true, 5 << 20, stages * 5 << 20},
	} {
		w.upload.pace.most = c.most
		w.upload.pace.set(c.waiting, c.hurry)
		if got := w.upload.pace.limiter.Limit(); got < c.want*0.999 || got > c.want {
			t.Errorf("%s: the pace is %v, want %v", c.name, got, c.want)
		}
	}
}

// What comes is counted whether or not it is uploaded at once, and forgotten.
func TestArrivals(t *testing.T) {
	for name, prompt := range map[string]bool{"prompt": true, "waiting": false} {
		var a arrivals
		now, waiting := time.Unix(0, 0), int64(0)
		step := func(came int64) {
			now = now.Add(time.Second)
			waiting += came
			if prompt {
				a.committed += waiting
				waiting = 0
			}
			a.look(now, waiting, 30*time.Second)
		}
		for range 10 {
			step(100)
		}
		if a.bytes < 800 || a.bytes > 1000 {
			t.Errorf("%s: %v bytes came in 10 s, of 1000", name, a.bytes)
		}
		for range 300 {
			step(100)
		}
		if a.bytes < 2900 || a.bytes > 3200 {
			t.Errorf("%s: %v bytes come in 30 s, of 3000", name, a.bytes)
		}
		for range 120 {
			step(0)
		}
		if a.bytes > 100 {
			t.Errorf("%s: %v bytes are remembered after two quiet minutes", name, a.bytes)
		}
	}
}
