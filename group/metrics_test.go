package group

import (
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// value is a metric's value, of all its labels together or of one state.
func value(t *testing.T, reg *prometheus.Registry, name, state string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if state == "" || m.GetLabel()[0].GetValue() == state {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// The metrics follow groups through their states and out of the slot.
func TestMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		reg := prometheus.NewRegistry()
		d.stop()
		d.start()
		d.Close(t.Context())
		d.Groups = Open(d.cfg, d.store, d.writer, d.topics, nil, slog.New(slog.NewTextHandler(io.Discard, nil)), reg)
		d.OwnSlots(allSlots())
		synctest.Wait()
		check := func(name, state string, want float64) {
			t.Helper()
			if got := value(t, reg, name, state); got != want {
				t.Fatalf("%s %s: %v, want %v", name, state, got, want)
			}
		}
		id := d.stable("g")
		want(t, "commit", d.Commit(t.Context(), "g", commitOf(id, 1, "t", 1)).Err, nil)
		want(t, "commit", d.Commit(t.Context(), "h", commitOf("", -1, "t", 1)).Err, nil)
		check("varve_group_groups", "Stable", 1)
		check("varve_group_groups", "Empty", 1)
		check("varve_group_groups", "", 2)
		check("varve_group_loaded", "", 2)
		check("varve_group_rebalances_total", "", 1)
		check("varve_group_committed_offsets_total", "", 2)
		check("varve_group_commit_seconds", "", 2)
		time.Sleep(11 * time.Second)
		check("varve_group_expired_members_total", "", 1)
		check("varve_group_groups", "Empty", 2)
		d.Describe(t.Context(), "unknown")
		check("varve_group_groups", "", 2)
		time.Sleep(d.cfg.UnloadAfter + time.Minute)
		check("varve_group_loaded", "", 0)
		check("varve_group_groups", "Empty", 2)
		d.Close(t.Context())
		check("varve_group_groups", "", 0)
	})
}
