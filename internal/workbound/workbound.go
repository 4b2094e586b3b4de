// Package workbound checks in tests that a decoder's work is bounded by its input:
// a false count must not cost more than the bytes that were sent.
//
// It measures the processor time of the calling thread, so that a busy machine
// doesn't change the result.
package workbound

import (
	"runtime"
	"testing"
	"time"
)

// A decoder of this tree takes well under a microsecond a byte, the race detector
// included. A loop that trusts a count of 2^32 takes ten seconds and more.
const (
	fixed   = 500 * time.Millisecond
	perByte = 10 * time.Microsecond
)

// Check fails the test if do, which works on n bytes of input, takes more processor
// time than that many bytes can explain.
func Check(t testing.TB, n int, do func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := processorTime()
	do()
	if took, most := processorTime()-before, fixed+time.Duration(n)*perByte; took > most {
		t.Errorf("%d bytes cost %v of processor time, at most %v are allowed", n, took, most)
	}
}
