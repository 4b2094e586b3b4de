//go:build exact

package sim

import "runtime"

// seedRuntime makes the runtime's choices follow from a seed; see exactly.
func seedRuntime(seed uint64) { runtime.SimSeed(seed) }
