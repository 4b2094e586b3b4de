package main

import (
	"context"
	"io"
	"testing"
)

// TestFollow reads what is there and what comes, until it is interrupted; then
// the group has what was printed.
func TestFollow(t *testing.T) {
	startAgent(t)
	must(t, "", "topic create orders -p 1")
	must(t, "old\n", "produce orders")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	in, out := io.Pipe()
	c := root()
	c.SetArgs([]string{"consume", "orders", "--follow", "--group", "g"})
	c.SetOut(out)
	c.SetErr(io.Discard)
	ended := make(chan error, 1)
	go func() { ended <- c.ExecuteContext(ctx); out.Close() }()
	for _, want := range []string{"old\n", "new\n"} {
		got := make([]byte, 4)
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			interrupt()
			t.Fatalf("followed to %q (%v), want %q; it ended with %v", got, err, want, <-ended)
		}
		if want == "old\n" {
			must(t, "new\n", "produce orders")
		}
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("an interrupt ends it with %v", err)
	}
	d := decode[[]groupDetail](t, must(t, "", "group describe g --json"))
	if len(d) != 1 || d[0].Partitions[0].Committed != 2 {
		t.Errorf("the group is %+v", d)
	}
}
