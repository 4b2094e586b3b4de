package s3store

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// value reads one series: a counter, a gauge, or a histogram's count.
func value(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "varve_s3store_"+name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var have []string
			for _, label := range metric.GetLabel() {
				have = append(have, label.GetValue())
			}
			if strings.Join(have, " ") == strings.Join(labels, " ") {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no series %s %v", name, labels)
	return 0
}

func TestMetricsCountEveryAttempt(t *testing.T) {
	registry := prometheus.NewRegistry()
	faults, _ := plan(OpGet, Fault{Cut: true, CutAfter: 4, CutError: errNet})
	store, err := WithMetrics(WithFaults(NewMemory(), faults), registry)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.PutIfAbsent(t.Context(), "k", strings.NewReader("some data")); err != nil {
		t.Fatal(err)
	}
	if err := store.PutIfAbsent(t.Context(), "k", strings.NewReader("other")); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	if _, err := readAll(t, store, "k", 0, -1); !errors.Is(err, errNet) {
		t.Fatal(err)
	}
	body, err := store.Get(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{2, "requests_total", []string{"put_if_absent"}},
		{1, "errors_total", []string{"exists", "put_if_absent"}},
		{9, "bytes_total", []string{"put_if_absent"}},
		{2, "requests_total", []string{"get"}},
		{1, "errors_total", []string{"transient", "get"}},
		{4, "bytes_total", []string{"get"}},
		{1, "in_flight", []string{"get"}},
		{0, "in_flight", []string{"put_if_absent"}},
		{2, "request_seconds", []string{"get"}},
		{0, "requests_total", []string{"list"}},
	} {
		if got := value(t, registry, c.name, c.labels...); got != c.want {
			t.Errorf("%s %v = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	body.Close()
	body.Close()
	if got := value(t, registry, "in_flight", "get"); got != 0 {
		t.Errorf("in flight after close: %v", got)
	}
}

// TestAttemptWithoutAnswer: an attempt that gets no answer is seen while it waits.
func TestAttemptWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		answer := make(chan struct{})
		inner := WithFaults(NewMemory(), func(Call) Fault { <-answer; return Fault{} })
		store, err := WithMetrics(inner, registry)
		if err != nil {
			t.Fatal(err)
		}
		oldest := func() float64 { return value(t, registry, "oldest_attempt_seconds", string(OpPut)) }
		done := make(chan error)
		go func() { done <- store.Put(t.Context(), "a", strings.NewReader("x")) }()
		for _, want := range []float64{20, 40} {
			time.Sleep(20 * time.Second) // fake
			if got := oldest(); got != want {
				t.Errorf("after %v s it waits for %v s", want, got)
			}
		}
		close(answer)
		if err := <-done; err != nil || oldest() != 0 {
			t.Errorf("%v, %v s", err, oldest())
		}
	})
}
