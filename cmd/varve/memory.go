package main

import (
	"os"
	"runtime/debug"
)

// gcPercent suits a process whose heap is mostly a few large, long-lived buffers:
// the usual 100 would let as much garbage again pile up beside them. Collections
// stay rare and cheap, for the buffers hold no pointers.
const gcPercent = 20

// tuneMemory sets the garbage collector for a server, unless GOGC says otherwise.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
