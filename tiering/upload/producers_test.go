package upload

import (
	"errors"
	"testing"

	"varve/kafka"
	"varve/tiering/tiertest"
)

// What is tiered first after a change of owner waits until the owner knows the
// producers of before.
func TestUploadWaitsForProducers(t *testing.T) {
	w := newWorld(t, testConfig())
	s := w.Source(1, 0)
	s.Mu.RecallErr = errors.New("away")
	s.Produce(tiertest.RandomBatch(t, tiertest.Rand(1), kafka.None, 1, 50, w.Now.Millis()), 0, w.Now.Millis())
	w.Now.Add(w.upload.cfg.MaxAge.Milliseconds())
	if uploads := w.upload.plan(t.Context()); len(uploads) != 0 {
		t.Fatalf("%d uploads although producers are not known", len(uploads))
	}
	s.Mu.RecallErr = nil
	clear(w.upload.failed.by)
	if uploads := w.upload.plan(t.Context()); len(uploads) != 1 {
		t.Fatalf("%d uploads", len(uploads))
	}
}
