package metadata

import (
	"log/slog"
	"testing"
)

// What was asked during an outage is asked again when it is over: the member that was
// asked may never answer.
func TestRequestsOfAnOutageEndWithIt(t *testing.T) {
	h := health{log: slog.New(slog.DiscardHandler), metrics: newStoreMetrics(nil)}
	before := h.try()
	h.note(nil)
	if before.Err() != nil {
		t.Fatal("a request ended without an outage")
	}
	h.note(ErrUnavailable)
	during := h.try()
	if before.Err() != nil || during.Err() != nil {
		t.Fatal("a request ended within the outage")
	}
	h.note(ErrNotFound)
	if before.Err() == nil || during.Err() == nil {
		t.Fatal("a request goes on after the outage")
	}
	if h.try().Err() != nil {
		t.Fatal("what begins after the outage ends with it")
	}
}
