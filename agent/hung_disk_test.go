package agent

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/vfs"
	"varve/metadata"
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
		_, err := m.Get(t.Context(), metadata.AgentKey(a.self))
		return errors.Is(err, metadata.ErrNotFound)
	})
	stuck.Store(false)
	close(hold)
}
