package say

import "testing"

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 67_108_864: "67.1 MB", 1 << 62: "4611.7 PB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"0 agents": Count(0, "agent"), "1 agent": Count(int32(1), "agent"), "2 agents": Count(int64(2), "agent"),
		"1 entry is": Count(1, "entry is", "entries are"), "2 entries are": Count(2, "entry is", "entries are"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
