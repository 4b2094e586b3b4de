package offheap

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"varve/internal/vfs"
)

const page = vfs.BlockBytes

func TestBuffer(t *testing.T) {
	before := Mapped()
	b := New(3 * page)
	if at := uintptr(unsafe.Pointer(unsafe.SliceData(b.Bytes()))); len(b.Bytes()) != 3*page || at%page != 0 {
		t.Fatalf("%d bytes at %x", len(b.Bytes()), at)
	}
	for i, c := range b.Bytes() {
		if c != 0 {
			t.Fatalf("byte %d is %d", i, c)
		}
		b.Bytes()[i] = 1
	}
	b.Free()
	b.Free()
	if n := Mapped(); n != before {
		t.Errorf("%d bytes are left", n-before)
	}
}

// A buffer that was not freed goes with its last reference.
func TestForgottenBuffer(t *testing.T) {
	before := Mapped()
	func() { New(page).Bytes()[0] = 1 }()
	for deadline := time.Now().Add(30 * time.Second); Mapped() != before; runtime.Gosched() {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d bytes are left", Mapped()-before)
		}
	}
}
