//go:build full

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

// TestFullDisk: with no room for another journal file, and a bucket that doesn't make any,
// producers are refused, the agent isn't ready and says why, and nothing is acknowledged that
// is not kept.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--journal-file-bytes=16777216", "--journal-keep-bytes=0", "--journal-reserve-bytes=0", "--kafka-max-throttle=20ms", "--upload-max-age=1h", "--upload-bundle-bytes=536870912", "--upload-segment-bytes=536870912", "--upload-object-bytes=536870912")
	if err := os.MkdirAll(s.data(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("varve-test", s.data(), "tmpfs", 0, "size=120m"); err != nil {
		t.Fatalf("mount a small file system (this test wants root): %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(s.data(), unix.MNT_DETACH) })
	s.start()
	if err := s.minio.Kill(); err != nil { // uploads would make room, as the disk is short
		t.Fatal(err)
	}
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
	if _, err := get("http://" + s.http + "/readyz"); err == nil || !strings.Contains(err.Error(), "disk full: producers are refused until there is space") {
		t.Errorf("a full disk is ready: %v", err)
	}
	if out, code, _ := varve("cluster", "health", "--http", s.http); code != 2 || !strings.Contains(out, "agent 1 (127.0.0.1:") || !strings.Contains(out, "disk full") {
		t.Errorf("code %d: %s", code, out)
	}
	if n := strings.Count(s.agent.log.String(), `msg="disk full: producers are refused`); n != 1 {
		t.Errorf("the log says %d times that the disk is full", n)
	}
	if err := s.minio.Start(); err != nil {
		t.Fatal(err)
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
