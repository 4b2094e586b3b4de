package offsets

import (
	"strings"
	"testing"
)

// Metadata is counted as Kafka counts: in UTF-16 code units.
func TestCharacters(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, strings.Repeat("é", 4096): 4096, "😀": 2, "a\xff": 2} {
		if got := characters(s); got != want {
			t.Errorf("%q has %d, want %d", s, got, want)
		}
	}
}
