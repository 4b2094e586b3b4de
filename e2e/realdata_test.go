//go:build full

package e2e

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// corpusBytes is how much real text is sent through.
const corpusBytes = 512 << 20

// corpusScript makes the corpus: the lines of the C sources and documentation of
// Linux, as Debian ships them in one package; empty lines are left out, because
// kcat doesn't send them.
const corpusScript = `
set -euo pipefail
cd "$1"
rm -rf package; mkdir package
(cd package && { apt-get download linux-source-6.1 >/dev/null 2>&1 || { apt-get update >/dev/null && apt-get download linux-source-6.1 >/dev/null; }; } && dpkg -x *.deb .)
{ xz -dc package/usr/src/linux-source-6.1.tar.xz | tar -xO --wildcards '*.c' '*.h' '*.rst' '*.txt' || true; } 2>/dev/null | tr -d '\000\r' | grep -a . | head -c "$2" > corpus.part || true
rm -rf package
mv corpus.part corpus.txt
`

// corpus returns the file, made once.
func corpus(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "varve", "realdata")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "corpus.txt")
	if st, err := os.Stat(path); err == nil && st.Size() == corpusBytes {
		return path
	}
	tool(t, "", "bash", "-c", corpusScript, "corpus", dir, strconv.Itoa(corpusBytes))
	if st, err := os.Stat(path); err != nil || st.Size() != corpusBytes {
		t.Fatalf("the corpus was not made: %v", err)
	}
	return path
}

// sum reads to the end and gives size and SHA-256; a missing last newline is added.
func sum(t *testing.T, r io.Reader) (int64, string) {
	t.Helper()
	h := sha256.New()
	var n int64
	last := byte('\n')
	for b := bufio.NewReaderSize(r, 1<<20); ; {
		if _, err := b.Peek(1); err != nil {
			break
		}
		p, _ := b.Peek(b.Buffered())
		h.Write(p)
		n += int64(len(p))
		last = p[len(p)-1]
		b.Discard(len(p))
	}
	if last != '\n' {
		h.Write([]byte{'\n'})
		n++
	}
	return n, hex.EncodeToString(h.Sum(nil))
}

// TestRealData: half a gigabyte of real lines produced with kcat, tiered to MinIO,
// the disk wiped, replayed from the bucket with kcat, compared byte for byte.
func TestRealData(t *testing.T) {
	path := corpus(t)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, want := sum(t, f)
	s := newSite(t)
	s.start()
	tool(t, "", binary, "topic", "create", "lines", "--partitions", "1", "--brokers", s.kafka)
	mb := func(d time.Duration) float64 { return float64(size) / 1e6 / d.Seconds() }

	began := time.Now()
	tool(t, "", "kcat", "-P", "-b", s.kafka, "-t", "lines", "-p", "0", "-X", "enable.idempotence=true", "-X", "linger.ms=20", "-X", "queue.buffering.max.messages=1000000", "-l", path)
	t.Logf("produced %d MB with kcat at %.0f MB/s", size/1e6, mb(time.Since(began)))

	began = time.Now()
	s.agent.stop()
	st := time.Since(began)
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	s.start()
	now, err := s.status()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the stop uploaded the rest in %v; %d MB of batches are in the bucket; disk wiped", st.Round(time.Millisecond), now.Tier/1e6)

	began = time.Now()
	replay := exec.CommandContext(t.Context(), "kcat", "-C", "-b", s.kafka, "-t", "lines", "-e", "-q",
		"-X", "queued.min.messages=2000000", "-X", "queued.max.messages.kbytes=262144") // its own queue is the limit otherwise
	out, err := replay.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := replay.Start(); err != nil {
		t.Fatal(err)
	}
	n, got := sum(t, out)
	if err := replay.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("replayed %d MB from the bucket with kcat at %.0f MB/s", n/1e6, mb(time.Since(began)))
	if n != size || got != want {
		t.Errorf("%d bytes with SHA-256 %s came back, %d with %s were sent", n, got, size, want)
	}
}
