//go:build full

package e2e

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"varve/internal/testserver"
)

// inOwnNetwork says that this process is in a network namespace made for one test.
const inOwnNetwork = "OWN_NETWORK"

// TestCablePulled: hosts on a switch, and the cable of one is pulled under load, later
// plugged in again. The others replace its agent, which acknowledges nothing more, and
// joins anew when it is back.
func TestCablePulled(t *testing.T) {
	if os.Getenv(inOwnNetwork) == "" {
		inNetworkOfItsOwn(t)
		return
	}
	net := newCables(t)
	c := &cluster{t: t, etcd: testserver.Etcds(t, 1), minio: testserver.MinIO(t), cables: net}
	net.serve(c.etcd.Endpoints, c.minio.Endpoint)
	c.begin()
	l := newLedger(t, c.brokers(), "cables", 12)
	l.beginAt(500, 4000)
	f := l.follow("followers")
	l.awaitMore(4000)
	for _, m := range c.agents[:2] {
		c.cables.pull(m.id)
		from := time.Now()
		c.awaitReplaced(l.topic, m)
		t.Logf("the agent whose cable was pulled was replaced after %v", time.Since(from))
		l.awaitMore(8000)
		c.cables.plug(m.id)
		l.awaitMore(4000)
		c.ready()
	}
	l.end()
	c.ready()
	l.check()
	f.check()
}

// inNetworkOfItsOwn runs the test again in a process with a network of its own, whose
// firewall and bridges nobody else configures.
func inNetworkOfItsOwn(t *testing.T) {
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	again.Env = append(os.Environ(), inOwnNetwork+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := again.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("in a network of its own: %v", err)
	}
}
