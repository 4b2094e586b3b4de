package classic

import (
	"testing"

	"varve/internal/workbound"
)

// FuzzSubscription decodes arbitrary member metadata.
func FuzzSubscription(f *testing.F) {
	f.Add(subscription("a", "topic"))
	f.Add([]byte{0, 3, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		topics := map[string]struct{}{}
		var err error
		workbound.Check(t, len(b), func() { err = readSubscription(b, topics) })
		if err == nil && len(topics) > len(b)/2 {
			t.Fatalf("%d topics in %d bytes", len(topics), len(b))
		}
	})
}

// subscription is a version 0 ConsumerProtocolSubscription.
func subscription(topics ...string) []byte {
	b := []byte{0, 0, 0, 0, 0, byte(len(topics))}
	for _, t := range topics {
		b = append(b, 0, byte(len(t)))
		b = append(b, t...)
	}
	return append(b, 0, 0, 0, 0)
}
