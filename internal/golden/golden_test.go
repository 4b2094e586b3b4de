package golden

import (
	"bytes"
	"testing"
)

func TestDump(t *testing.T) {
	b := make([]byte, 1000)
	b[3], b[500], b[999] = 1, 2, 3
	dump := Dump(b)
	if len(dump) > 300 || !bytes.Equal(Undump(t, dump, len(b)), b) {
		t.Errorf("%s", dump)
	}
}
