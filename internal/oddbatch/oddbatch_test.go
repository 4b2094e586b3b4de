package oddbatch

import (
	"testing"

	"varve/kafka"
)

// Each case has a name of its own, and the sound ones are sound.
func TestCases(t *testing.T) {
	all := All(1_790_000_000_000)
	names := map[string]bool{}
	for _, c := range all {
		if names[c.Name] {
			t.Errorf("%q is there twice", c.Name)
		}
		names[c.Name] = true
	}
	for codec := kafka.None; codec <= kafka.Zstd; codec++ {
		for _, c := range all {
			if c.Name != codec.String()+": three records" {
				continue
			}
			b, err := kafka.One(c.Records)
			if err == nil {
				err = b.Validate()
			}
			n := 0
			if err == nil {
				err = b.Records(1<<20, func(*kafka.Record) error { n++; return nil })
			}
			if err != nil || n != 3 || b.Codec() != codec {
				t.Errorf("%q: %d records, %v", c.Name, n, err)
			}
		}
	}
	if len(all) < 300 {
		t.Errorf("%d cases", len(all))
	}
}
