package cluster

import (
	"log/slog"
	"testing"

	"varve/internal/id"
	"varve/metadata"
	"varve/metadata/schema"
)

// Whether a topic still is the one that something was about is not for a view to deny
// that may lag.
func TestIsTopicAsksTheStore(t *testing.T) {
	memory := metadata.NewMemory()
	store := memory.Open()
	defer store.Close()
	v := NewView(store, slog.New(slog.DiscardHandler)) // it never runs: it knows nothing
	topic := schema.Topic{ID: id.Topic{1}, Partitions: 1}
	if _, err := store.Txn(t.Context(), nil, metadata.Put(schema.TopicKey("t"), topic.Encode())); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		id   id.Topic
		is   bool
	}{{"t", id.Topic{1}, true}, {"t", id.Topic{2}, false}, {"u", id.Topic{1}, false}} {
		if is, err := v.IsTopic(t.Context(), c.name, c.id); err != nil || is != c.is {
			t.Errorf("%s is %v: %v, %v", c.name, c.id, is, err)
		}
	}
}
