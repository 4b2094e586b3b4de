package garbage

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/id"
	"varve/metadata/schema"
)

// TestDamagedObjectsAreSaidOnce: however many passes come by a cut and a swapped object, each
// has one line, an ERROR, and is counted until it is as it should be.
func TestDamagedObjectsAreSaidOnce(t *testing.T) {
	w := newWorld(t, testConfig())
	p := id.Partition{Topic: id.Topic{9}}
	cut := w.orphan(schema.Object{Writer: 3, Seq: 1}, p, true)
	swapped := w.orphan(schema.Object{Writer: 3, Seq: 2}, p, true)
	other := w.orphan(schema.Object{Writer: 3, Seq: 3}, p, true)
	put := func(key string, b []byte) {
		if err := w.Bucket.Put(t.Context(), key, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
	}
	was := w.ObjectBytes(cut)
	put(cut, was[:len(was)-5])
	put(swapped, w.ObjectBytes(other))
	var said bytes.Buffer
	c := w.collector(eager())
	c.deps.Log = slog.New(slog.NewTextHandler(&said, nil))
	reg := prometheus.NewRegistry()
	newMetrics(reg, c)
	damaged := func() float64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "varve_tier_damaged_objects" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal("no metric")
		return 0
	}
	for range 4 {
		w.collect(c)
	}
	for _, key := range []string{cut, swapped} {
		n := 0
		for line := range strings.Lines(said.String()) {
			if strings.Contains(line, key) && strings.Contains(line, "level=ERROR") {
				n++
			}
		}
		if n != 1 || !w.there(key) {
			t.Errorf("%s has %d lines, is there: %v\n%s", key, n, w.there(key), &said)
		}
	}
	if n := strings.Count(said.String(), "level=WARN"); n != 0 || damaged() != 2 {
		t.Errorf("%d warnings, %v damaged:\n%s", n, damaged(), &said)
	}
	put(cut, was)
	w.collect(c)
	if n := damaged(); n != 1 {
		t.Errorf("%v are damaged after one was mended", n)
	}
}
