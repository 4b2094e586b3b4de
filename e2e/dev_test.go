package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDev: one process with everything in it, killed, stopped and started again.
func TestDev(t *testing.T) {
	t.Parallel()
	dir, kafka, http := t.TempDir(), freeAddr(t), freeAddr(t)
	start := func() *process {
		p := run(t, "dev", "--data", dir, "--kafka-listen", kafka, "--http-listen", http)
		awaitPage(t, p, "http://"+http+"/readyz")
		t.Logf("ready %v after its start", time.Since(p.born).Round(time.Millisecond))
		return p
	}
	p := start()
	poll(t, 10*time.Second, "the banner", func() error {
		if out := p.log.String(); !strings.Contains(out, kafka) || !strings.Contains(out, "kcat") {
			return syscall.EAGAIN
		}
		return nil
	})
	l := newLedger(t, kafka, "dev", 2)
	l.put(1000, 200)
	second := run(t, "dev", "--data", dir, "--kafka-listen", freeAddr(t), "--http-listen", freeAddr(t))
	<-second.done
	if second.err == nil || !strings.Contains(second.log.String(), "in use") && !strings.Contains(second.log.String(), "lock") {
		t.Errorf("a second instance on the same data: %v, %s", second.err, second.log)
	}
	p.kill()
	p = start()
	l.check()
	p.signal(syscall.SIGINT)
	<-p.done
	if p.err != nil {
		t.Errorf("SIGINT: %v", p.err)
	}
	start()
	l.put(10, 200)
	l.check()
}
