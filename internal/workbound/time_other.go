//go:build !linux

package workbound

import "time"

var begun = time.Now()

// processorTime returns the time that has passed: other systems don't tell it by thread.
func processorTime() time.Duration { return time.Since(begun) }
