package e2e

import "testing"

// TestCutOff: an owner's cables are pulled: to etcd, to its peers, to both. Clients go
// on reaching it all the while; whatever it says, nothing acknowledged is lost and no
// offset is given twice, and after the repair it serves again.
func TestCutOff(t *testing.T) {
	t.Parallel()
	for _, cut := range []struct {
		name        string
		etcd, peers bool
	}{{"Etcd", true, false}, {"Peers", false, true}, {"Both", true, true}} {
		t.Run(cut.name, func(t *testing.T) {
			t.Parallel()
			c := newClusterOf(t, 1, true)
			l := newLedger(t, c.brokers(), "cut", 12)
			l.beginAt(300, 3000)
			f := l.follow("followers")
			l.awaitMore(3000)
			m := c.agents[1]
			if cut.etcd {
				m.cutFromEtcd()
			}
			if cut.peers {
				m.cutFromPeers()
			}
			c.awaitReplaced(l.topic, m)
			l.awaitMore(6000)
			c.mend()
			l.awaitMore(3000)
			l.end()
			c.ready()
			l.check()
			f.check()
		})
	}
}
