//go:build unix && !race

package offheap

import "golang.org/x/sys/unix"

func acquire(n int) ([]byte, bool) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, false
	}
	huge(b)
	return b, true
}

func release(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic("offheap: " + err.Error()) // it was not what acquire returned
	}
}
