package memshare

import (
	"math"
	"testing"
)

// A value that is far too much is refused, and doesn't count as less than nothing.
func TestDivideRefusesHugeValues(t *testing.T) {
	for _, given := range []int64{1 << 40, math.MaxInt64 / 3, math.MaxInt64 / 2, math.MaxInt64} {
		for i := range some() {
			pools := some()
			pools[i].Given = given
			if parts, err := Divide(1000, pools); err == nil {
				t.Errorf("%s of %d was accepted, for %d bytes of 1000", pools[i].Name, given, parts[i].Bytes)
			}
		}
	}
}
