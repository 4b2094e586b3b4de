package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	at := time.Unix(1000, 0)
	var p pace
	for _, c := range []struct {
		left  int
		after time.Duration
		want  string
	}{
		{100, 0, ""},
		{100, time.Second, ""},
		{80, 2 * time.Second, ", 10.0 a second, about 8s to go"},
		{50, 10 * time.Second, ", 5.0 a second, about 10s to go"},
		{0, 11 * time.Second, ""},
		{120, 12 * time.Second, ""}, // more than before: from here on
		{60, 13 * time.Second, ", 60.0 a second, about 1s to go"},
	} {
		if got := p.note(c.left, at.Add(c.after)); got != c.want {
			t.Errorf("%d left after %v: %q, want %q", c.left, c.after, got, c.want)
		}
	}
}

// thrice ends a command when it has shown something for the third time.
type thrice struct {
	bytes.Buffer
	end func()
}

func (w *thrice) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Count(w.String(), "controller") >= 3 {
		w.end()
	}
	return n, err
}

// --watch goes on until it is interrupted, and then ends well.
func TestClusterStatusWatch(t *testing.T) {
	a := startAgent(t)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	out := &thrice{end: end}
	c := root()
	c.SetArgs([]string{"cluster", "status", "--watch", "--interval", "10ms", "--http", a.http})
	c.SetOut(out)
	c.SetErr(&bytes.Buffer{})
	if err := c.ExecuteContext(ctx); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "BROKER"); n < 3 {
		t.Errorf("shown %d times: %s", n, out.String())
	}
	wants(t, command(t, "", "cluster status --watch --interval 0s"), exitUsage, "--interval")
}
