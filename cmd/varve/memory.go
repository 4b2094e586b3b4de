package main

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"varve/agent"
	"varve/internal/hostmem"
	"varve/kafka"
)

// tuneMemory keeps the Go heap within its part of the memory, unless GOMEMLIMIT is set
// otherwise. The large caches are outside of it, and so little is live there most of the
// time: GOGC stays as Go has it.
func tuneMemory(m *agent.Memory, cfg *agent.Config, log *slog.Logger) {
	kafka.LimitDecompression(cfg.Produce.DecompressBytes)
	if limit := os.Getenv("GOMEMLIMIT"); limit != "" {
		log.Warn("GOMEMLIMIT is set: the Go heap is kept to it, and not to its part of memory", "GOMEMLIMIT", limit, "memory", m.Total, "part", m.Heap())
		return
	}
	// What is freed goes back a moment later than it is counted as free.
	debug.SetMemoryLimit(m.Heap() / 20 * 19)
}

// host is this machine's memory.
func host() *agent.Host {
	return &agent.Host{Read: func() hostmem.State { return hostmem.Read(readBounded) }, Free: func() {
		runtime.GC() // what pools hold is given up by the second collection
		debug.FreeOSMemory()
	}}
}
