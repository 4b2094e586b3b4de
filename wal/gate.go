package wal

// gate is a lock that may be held over I/O, and waited for with a context: it is held while
// a value is in it. In fake time (testing/synctest) a wait for it lets time go on, as one
// for a mutex would not.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) lock()   { g <- struct{}{} }
func (g gate) unlock() { <-g }
