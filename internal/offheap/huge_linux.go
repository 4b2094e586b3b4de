//go:build !race

package offheap

import "golang.org/x/sys/unix"

// huge asks for large pages: a fresh buffer is touched with a fault for 2 MiB, not for
// each 4 KiB. Refusal costs only time.
func huge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
