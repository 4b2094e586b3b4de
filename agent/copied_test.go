package agent

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"varve/internal/vfs"
	"varve/metadata/schema"
	"varve/s3store"
)

// TestCopiedDisk: a copy of a running agent's disk is refused, whatever its broker id, and
// the agent that it was copied from goes on as the same incarnation. An agent that died
// doesn't keep its own disk from starting.
func TestCopiedDisk(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.SessionTTL = time.Second }
	a := w.start()
	for _, broker := range []int32{1, 2} {
		two := *w
		two.fs = w.fs.(*vfs.Memory).Crash(rand.New(rand.NewPCG(1, 2))) // another disk with the same files
		two.change = func(c *Config) { c.SessionTTL, c.BrokerID = time.Second, broker }
		err := two.refusedOn(two.fs, w.meta, nil)
		if err == nil || !strings.Contains(err.Error(), "is a copy") || !strings.Contains(err.Error(), "Delete all of ") || !strings.Contains(err.Error(), a.store.ID().String()) {
			t.Errorf("broker %d: %v", broker, err)
		}
	}
	kv, err := a.deps.Meta.Get(t.Context(), schema.AgentKey(1))
	if err != nil {
		t.Fatal(err)
	}
	if still, err := schema.DecodeAgent(kv.Value); err != nil || still.Incarnation != a.inc {
		t.Errorf("%+v, %v", still, err)
	}
	a.produce("t", 0, 10)
}

// TestTakenBrokerIDNamesTheOther: an agent with another one's broker id is told where that
// one is, and what to do.
func TestTakenBrokerIDNamesTheOther(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *Config) { c.SessionTTL = time.Second }
	a := w.start()
	err := w.refusedOn(vfs.NewMemory(), w.meta, nil)
	at := a.Addresses()["PLAINTEXT"]
	if err == nil || !strings.Contains(err.Error(), "broker_id 1 is in use by the agent at "+at) || !strings.Contains(err.Error(), "a broker_id of its own") {
		t.Errorf("%v; the other is at %s", err, at)
	}
	if text := where(&schema.Agent{HTTP: "h:1"}); text != "h:1" {
		t.Errorf("an agent without an address for others is at %s", text)
	}
}

// TestBadDataDirIsNamed: a data directory that can't be made is told as the setting.
func TestBadDataDirIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.change = func(c *Config) { c.DataDir = file + "/data" }
	if err := w.refusedOn(vfs.OS{}, w.meta, nil); err == nil || !strings.Contains(err.Error(), "data_dir "+file+"/data: ") {
		t.Error(err)
	}
}

// TestStopWithoutBucket: an agent that stops while the bucket is away loses no time: the
// others have what it can't upload, and serve it.
func TestStopWithoutBucket(t *testing.T) {
	w := newWorld(t)
	var away atomic.Bool
	bucket := s3store.WithFaults(w.bucket, func(s3store.Call) (f s3store.Fault) {
		if away.Load() {
			f.Before = io.ErrUnexpectedEOF
		}
		return f
	})
	join := func(broker int32) *running {
		one := *w
		one.fs, one.bucket = vfs.NewMemory(), bucket
		one.change = func(c *Config) {
			c.BrokerID, c.Peer.Bind, c.ShutdownTimeout = broker, "127.0.0.1:0", time.Minute
			if broker > 2 {
				c.Replication.Factor, c.Replication.Quorum = 2, 2
			}
		}
		return one.start()
	}
	first := join(1)
	join(2)
	a := join(3)
	if _, err := kadm.NewClient(a.client()).CreateTopic(t.Context(), 9, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	a.until("it owns a partition", func() bool { return a.owned.Len() > 0 })
	a.produce("t", 0, 100)
	away.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- a.stop() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Fatal("it waits for the bucket")
	}
	first.consume("t", 100)
	away.Store(false)
}
