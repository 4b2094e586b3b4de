// Package golden compares what tests make with files under testdata, which -update writes
// anew. Bytes that an older build wrote must be readable for good: the files of formats
// are only added to, and a change of one in review is a change of the format.
package golden

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files and generated pages anew")

// Check compares text with a file, or writes it.
func Check(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := Read(t, path); want != text {
		t.Errorf("%s differs; 'go test -update' writes it anew. It is now:\n%s", path, text)
	}
}

// Read returns a golden file.
func Read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rowBytes is how many bytes a row of a dump has.
const rowBytes = 32

// Dump returns bytes as rows of an offset and hex digits. Rows of zeros are left out.
func Dump(b []byte) string {
	var out strings.Builder
	for at := 0; at < len(b); at += rowBytes {
		row := b[at:min(at+rowBytes, len(b))]
		if strings.Trim(string(row), "\x00") != "" {
			fmt.Fprintf(&out, "%08x %x\n", at, row)
		}
	}
	return out.String()
}

// Undump returns the bytes of a dump, size of them.
func Undump(t *testing.T, dump string, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	for lines := bufio.NewScanner(strings.NewReader(dump)); lines.Scan(); {
		var at int
		var digits string
		if _, err := fmt.Sscanf(lines.Text(), "%x %s", &at, &digits); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		row, err := hex.DecodeString(digits)
		if err != nil || at+len(row) > size {
			t.Fatalf("%q: %v, in %d bytes", lines.Text(), err, size)
		}
		copy(b[at:], row)
	}
	return b
}
