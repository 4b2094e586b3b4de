//go:build unix && !linux && !race

package offheap

func huge([]byte) {}
