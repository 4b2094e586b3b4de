package agent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"varve/cluster"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/kafka"
	"varve/metadata"
	"varve/metadata/schema"
	"varve/wal"
)

// TestHungDiskLetsOthersGoOn: an agent that ends while its disk hangs gives up its
// session first, so that others can take what it had.
func TestHungDiskLetsOthersGoOn(t *testing.T) {
	w := newWorld(t)
	var stuck atomic.Bool
	hold, hangs := make(chan struct{}), make(chan struct{}, 1)
	disk := vfs.NewMemory()
	disk.Fault = func(op, name string) error {
		if stuck.Load() && op == "sync" && strings.Contains(name, ".wal") {
			select {
			case hangs <- struct{}{}:
			default:
			}
			<-hold
		}
		return nil
	}
	w.fs = disk
	a := w.start()
	a.produce("t", 0, 10)
	stuck.Store(true)
	a.client(kgo.DefaultProduceTopic("t")).Produce(context.Background(), kgo.StringRecord("x"), nil)
	<-hangs
	a.die(errors.New("something else failed"))
	m := w.meta.Open()
	defer m.Close()
	a.until("its registration is gone", func() bool {
		_, err := m.Get(t.Context(), schema.AgentKey(a.self))
		return errors.Is(err, metadata.ErrNotFound)
	})
	stuck.Store(false)
	close(hold)
}

// hangs is a disk some calls of which don't return while they are held, or take a while.
type hangs struct {
	once sync.Once
	mu   sync.Mutex
	op   string
	part string        // of the file's name
	hold chan struct{} // nil: calls return
	slow time.Duration
}

func (h *hangs) fault(op, name string) error {
	h.mu.Lock()
	hold, slow := h.hold, h.slow
	meant := op == h.op && strings.Contains(name, h.part)
	h.mu.Unlock()
	if meant && hold != nil {
		<-hold
	}
	if meant {
		time.Sleep(slow)
	}
	return nil
}

func (h *hangs) begin(slow time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slow = slow; slow == 0 {
		h.hold = make(chan struct{})
	}
}

func (h *hangs) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.hold)
	h.hold = nil
}

// append appends to a topic's partition, whatever comes of it.
func (d *darkWorld) append(topic *cluster.Topic) {
	d.t.Helper()
	b, err := kafka.Build(kafka.None, []kafka.NewRecord{{Timestamp: d.millis(), Value: []byte("v")}}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.owned.Get(id.Partition{Topic: topic.ID}).Append(d.t.Context(), b, d.millis(), id.NoEpoch, make(answer, 1)); err != nil {
		d.t.Fatal(err)
	}
}

// hung waits until the end of the process is asked for, since the disk hangs.
func (d *darkWorld) hung(began time.Time) {
	d.t.Helper()
	err := <-d.exits
	least := hungLeases*d.cfg.SessionTTL + hungGrace
	if took := time.Since(began); took < least || took > least+2*d.cfg.SessionTTL {
		d.t.Errorf("the end of the process was asked for after %v", took)
	}
	if !strings.Contains(err.Error(), "the disk under data has not answered for 15s (") || IsReplaced(err) {
		d.t.Error(err)
	}
}

// TestHungDiskEndsTheAgent: an agent whose disk hangs gives up its session and ends; and
// the process, which can't wait for the disk.
func TestHungDiskEndsTheAgent(t *testing.T) {
	for _, h := range []*hangs{{op: "sync", part: ".wal"}, {op: "write", part: ".meta"}} {
		t.Run(h.op+h.part, func(t *testing.T) {
			inTheDark(t, h.fault, func(d *darkWorld) {
				<-d.Started()
				topic := d.topic("one")
				began := time.Now()
				h.begin(0)
				d.append(topic)
				d.run(func() { // as for another agent
					_ = d.store.Join(id.Journal{Writer: 7, Seq: 1}, wal.Membership{FileBytes: d.store.FileBytes()})
				})
				d.until("its session has ended", func() bool {
					_, err := d.meta.Get(context.Background(), schema.AgentKey(d.self))
					return errors.Is(err, metadata.ErrNotFound)
				})
				if took := time.Since(began); took > (hungLeases+1)*d.cfg.SessionTTL {
					t.Errorf("its session ended after %v", took)
				}
				d.hung(began)
				h.release()
			}, "has not answered")
		})
	}
}

// TestDiskThatHangsAtTheStart: nobody waits for ever for an agent that can't begin.
func TestDiskThatHangsAtTheStart(t *testing.T) {
	h := &hangs{op: "sync", part: "journal/store"}
	inTheDark(t, func(op, name string) error {
		h.once.Do(func() { h.begin(0) })
		return h.fault(op, name)
	}, func(d *darkWorld) {
		d.hung(time.Now())
		h.release()
		d.ended <- <-d.ended // before it is told to stop
	}, "has not answered")
}

// TestSlowDiskIsNotHung: a disk that answers, however late, ends nothing.
func TestSlowDiskIsNotHung(t *testing.T) {
	h := &hangs{op: "sync", part: ".wal"}
	inTheDark(t, h.fault, func(d *darkWorld) {
		<-d.Started()
		topic := d.topic("one")
		h.begin((hungLeases - 1) * d.cfg.SessionTTL)
		for range 10 {
			d.append(topic)
			time.Sleep(h.slow + time.Second)
		}
		if s := d.owned.Get(id.Partition{Topic: topic.ID}).State(); s.High < 5 {
			t.Errorf("%+v", s)
		}
		h.begin(time.Millisecond)
	}, "")
}
