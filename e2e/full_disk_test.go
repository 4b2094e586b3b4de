//go:build full

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

// TestFullDisk: with no room for another journal file producers are refused, and
// nothing is acknowledged that is not kept.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--journal-file-bytes=16777216", "--journal-keep-bytes=0", "--journal-reserve-bytes=0", "--upload-max-age=1h", "--upload-bundle-bytes=536870912", "--upload-segment-bytes=536870912", "--upload-object-bytes=536870912")
	if err := os.MkdirAll(s.data(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("varve-test", s.data(), "tmpfs", 0, "size=120m"); err != nil {
		t.Fatalf("mount a small file system (this test wants root): %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(s.data(), unix.MNT_DETACH) })
	s.start()
	l := newLedger(t, s.kafka, "full", 2, kgo.RecordRetries(3), kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := 0; i < 400 && l.failed == 0; i++ {
		for k := range 10 {
			l.cl.Produce(t.Context(), l.record(i*10+k, 100<<10), l.note)
		}
		if err := l.cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if l.failed == 0 {
		t.Fatal("400 MB went to a disk with room for 100")
	}
	files, err := filepath.Glob(filepath.Join(s.data(), "journal", "*.wal"))
	if err != nil || len(files) > 8 {
		t.Errorf("%d journal files, %v", len(files), err)
	}
	l.check()
	s.agent.stop() // uploads, which makes room
	s.start()
	l.put(100, 1000)
	l.check()
}
