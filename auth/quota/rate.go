package quota

import (
	"math"
	"time"
)

// A rate is that of the last samples, each of sampleMillis, as with Kafka's quota.window.num
// and quota.window.size.seconds.
const (
	samples      = 11
	sampleMillis = 1000
)

// Window is the time that a rate is measured over, but for the sample that is under way.
const Window = (samples - 1) * sampleMillis * time.Millisecond

// rate measures as Kafka's Rate of SampledStat. Times are in milliseconds.
type rate struct {
	samples [samples + 1]sample // one more: one that began before the window overlaps it
	n       int                 // of those that were used
	current int
}

type sample struct {
	start, last int64 // when it began, and when something was last added
	sum         float64
}

func (r *rate) add(v float64, now int64) {
	if r.n == 0 {
		r.n, r.samples[0] = 1, sample{start: now}
	}
	s := &r.samples[r.current]
	if now-s.start >= sampleMillis {
		r.current = (r.current + 1) % len(r.samples)
		r.n = max(r.n, r.current+1)
		s = &r.samples[r.current]
		*s = sample{start: now}
	}
	s.sum += v
	s.last = now
}

// wait returns for how long nothing must be added so that the rate is down at bound: with a
// rate of O over a time W it is (O - bound) / bound * W.
func (r *rate) wait(bound float64, now int64) time.Duration {
	sum, oldest := 0.0, now
	for i := range r.samples[:r.n] {
		s := &r.samples[i]
		if now-s.last >= samples*sampleMillis {
			*s = sample{start: now, last: now}
		}
		sum += s.sum
		oldest = min(oldest, s.start)
	}
	elapsed := now - oldest
	if full := elapsed / sampleMillis; full < samples-1 {
		elapsed += (samples - 1 - full) * sampleMillis
	}
	over := sum/(float64(elapsed)/1000) - bound
	if over <= 0 {
		return 0
	}
	return millis(over / bound * float64(elapsed))
}

// rests reports whether all that was added is out of the window.
func (r *rate) rests(now int64) bool {
	for i := range r.samples[:r.n] {
		if now-r.samples[i].last < samples*sampleMillis {
			return false
		}
	}
	return true
}

// millis returns a number of milliseconds, rounded, that fits the field of an answer.
func millis(n float64) time.Duration {
	return time.Duration(min(math.Round(n), math.MaxInt32)) * time.Millisecond
}

// bucket measures as Kafka's TokenBucket (KIP-599). A full one holds what may be taken in the
// time of all samples.
type bucket struct {
	taken   float64 // tokens that are missing
	bound   float64 // tokens that are added per second
	updated int64
}

func (b *bucket) refill(bound float64, now int64) {
	b.taken = max(0, b.taken-bound*float64(now-b.updated)/1000)
	b.bound, b.updated = bound, now
}

// wait returns the time until the bucket isn't overdrawn.
func (b *bucket) wait() time.Duration {
	over := b.taken - samples*sampleMillis/1000*b.bound
	if over <= 0 {
		return 0
	}
	return millis(over / b.bound * 1000)
}

// rests reports whether the bucket is full.
func (b *bucket) rests(now int64) bool { return b.taken <= b.bound*float64(now-b.updated)/1000 }
