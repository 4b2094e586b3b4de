package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// cables connects agents, each in a network namespace of its own, by a switch in this
// process's namespace, where the clients, etcd and MinIO are. A cable can be pulled:
// packets are lost then, and nobody is told. It needs root, and a namespace of this
// process's own (ownNetwork).
type cables struct {
	t     *testing.T
	name  string   // of the switch, and the beginning of the others
	etcds []string // as the agents reach them
	minio string
}

const (
	subnet     = "10.213.0."
	switchHost = subnet + "1"
)

// newCables makes a switch.
func newCables(t *testing.T) *cables {
	t.Helper()
	c := &cables{t: t, name: fmt.Sprint("vv", os.Getpid())}
	c.ip("link set lo up")
	c.ip("link add %s type bridge", c.name)
	c.ip("addr add %s/24 dev %s", switchHost, c.name)
	c.ip("link set %s up", c.name)
	return c
}

// serve lets agents reach servers on this host's loopback.
func (c *cables) serve(etcds []string, minio string) {
	for i, e := range etcds {
		c.etcds = append(c.etcds, "http://"+linkAt(c.t, fmt.Sprint(switchHost, ":", 2379+i), strings.TrimPrefix(e, "http://")).addr)
	}
	host, plain := strings.CutPrefix(minio, "http://")
	c.minio = linkAt(c.t, switchHost+":9000", host).addr
	if plain {
		c.minio = "http://" + c.minio
	}
}

// ip runs one command of iproute2.
func (c *cables) ip(format string, args ...any) {
	c.t.Helper()
	words := strings.Fields(fmt.Sprintf(format, args...))
	if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
		c.t.Fatalf("ip %s (root and iproute2 are needed): %v: %s", strings.Join(words, " "), err, out)
	}
}

// host plugs in a new host, and gives its addresses, a new port each time.
func (c *cables) host(n int) func() string {
	c.t.Helper()
	at := c.hostName(n)
	c.ip("netns add %s", at)
	c.t.Cleanup(func() { c.ip("netns del %s", at) })
	c.ip("link add %s type veth peer name eth0 netns %s", at, at)
	c.ip("link set %s master %s up", at, c.name)
	c.ip("-n %s addr add %s%d/24 dev eth0", at, subnet, n+1)
	c.ip("-n %s link set eth0 up", at)
	c.ip("-n %s link set lo up", at)
	port := 9091
	return func() string {
		port++
		return fmt.Sprint(subnet, n+1, ":", port)
	}
}

// hostName is the name of a host, its namespace and its end of the cable at the switch.
func (c *cables) hostName(n int) string { return fmt.Sprint(c.name, ".", n) }

// run runs the binary on a host.
func (c *cables) run(n int, args ...string) *process {
	c.t.Helper()
	return start(c.t, exec.Command("ip", append([]string{"netns", "exec", c.hostName(n), binary}, args...)...))
}

// pull pulls a host's cable; plug plugs it in again.
func (c *cables) pull(n int) { c.t.Helper(); c.ip("link set %s down", c.hostName(n)) }
func (c *cables) plug(n int) { c.t.Helper(); c.ip("link set %s up", c.hostName(n)) }
