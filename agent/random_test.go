package agent

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TestASeedDecidesAllIDs: two agents with the same randomness choose the same ids.
func TestASeedDecidesAllIDs(t *testing.T) {
	ids := func(seed byte) string {
		w := newWorld(t)
		w.random = rand.NewChaCha8([32]byte{seed})
		a := w.start()
		topic, err := kadm.NewClient(a.client()).CreateTopic(t.Context(), 1, 1, nil, "t")
		if err != nil {
			t.Fatal(err)
		}
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(a.store.ID(), a.Agent.id, topic.ID)
	}
	first := ids(1)
	if again := ids(1); again != first {
		t.Errorf("the same seed chose %s, then %s", first, again)
	}
	if other := ids(2); other == first {
		t.Errorf("another seed chose the same: %s", first)
	}
}
