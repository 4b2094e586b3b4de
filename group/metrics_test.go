package group

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
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

// TestProgress: groups are shown with their members and what they committed, also without
// either, and from what is kept of those that are not in memory.
func TestProgress(t *testing.T) {
	inBubble(t, func(t *testing.T, d *driver) {
		check := func(want string) {
			t.Helper()
			all, err := d.Progress(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, g := range all {
				got = append(got, fmt.Sprintf("%s: %d members, %d offsets", g.Group, g.Members, len(g.Committed)))
			}
			slices.Sort(got)
			if text := strings.Join(got, "; "); text != want {
				t.Fatalf("got %q, want %q", text, want)
			}
		}
		d.stable("g")
		want(t, "commit", d.Commit(t.Context(), "h", commitOf("", -1, "t", 1)).Err, nil)
		check("g: 1 members, 0 offsets; h: 0 members, 1 offsets")
		d.Describe(t.Context(), "unknown")
		check("g: 1 members, 0 offsets; h: 0 members, 1 offsets")
		time.Sleep(11 * time.Second) // g's session
		check("g: 0 members, 0 offsets; h: 0 members, 1 offsets")
		time.Sleep(d.cfg.UnloadAfter + time.Minute) // g is deleted, as it is empty, and h is not in memory
		check("h: 0 members, 1 offsets")
	})
}
