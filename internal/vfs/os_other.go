//go:build !linux && !darwin

package vfs

import (
	"os"
)

// openDirect has no way past the page cache here.
func openDirect(string, int) (*os.File, bool, error) { return nil, false, nil }

// syncData makes what was written durable.
func syncData(f *os.File) error { return f.Sync() }
