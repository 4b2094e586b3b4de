package memshare

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func some() []Pool {
	return []Pool{
		{Name: "rest", Setting: "cache_bytes", Floor: 24, Cost: 1, Step: 8},
		{Name: "reads", Setting: "read_bytes", Floor: 8, Most: 64, Share: 0.1, Cost: 1},
		{Name: "requests", Setting: "request_bytes", Floor: 8, Most: 128, Share: 0.1, Cost: 2, Heap: true},
		{Name: "connections", Setting: "connections", Floor: 1, Most: 1000, Share: 0.1, Cost: 3, Heap: true},
		{Name: "process", Floor: 50, Most: 100, Share: 0.1, Cost: 1, Heap: true},
	}
}

func values(parts []Part) (out []int64) {
	for _, p := range parts {
		out = append(out, p.Value)
	}
	return out
}

func TestDivide(t *testing.T) {
	for _, c := range []struct {
		total int64
		given map[string]int64
		want  string // values
	}{
		{101, nil, "24 8 8 1 50"},               // the least
		{1000, nil, "632 64 50 33 100"},         // shares
		{100_000, nil, "96576 64 128 1000 100"}, // more is of no use to the others
		{1000, map[string]int64{"cache_bytes": 100}, "100 64 50 33 100"},
		{1000, map[string]int64{"read_bytes": 500}, "200 500 50 33 100"},
		{1000, map[string]int64{"read_bytes": 850}, "24 850 18 8 62"}, // the rest is cut
		{1000, map[string]int64{"connections": 10}, "704 64 50 10 100"},
	} {
		pools := some()
		for i := range pools {
			pools[i].Given = c.given[pools[i].Setting]
		}
		got, err := Divide(c.total, pools)
		if err != nil {
			t.Errorf("%d, %v: %v", c.total, c.given, err)
			continue
		}
		var text []string
		for _, v := range values(got) {
			text = append(text, strconv.FormatInt(v, 10))
		}
		if strings.Join(text, " ") != c.want {
			t.Errorf("%d, %v: %v, want %s", c.total, c.given, text, c.want)
		}
	}
}

func TestDivideNeedsTheFloors(t *testing.T) {
	if _, err := Divide(100, some()); err == nil || err.Error() != "memory is 100 bytes: must be at least 101 bytes" {
		t.Error(err)
	}
	pools := some()
	pools[1].Given, pools[2].Given, pools[3].Given = 500, 100, 200
	_, err := Divide(1000, pools)
	want := "memory is 1000 bytes, but read_bytes (500 bytes), request_bytes (100 bytes, for which 200 bytes are needed), connections (200, for which 600 bytes are needed)" +
		" and the least that all else works with (74 bytes) are 1374 bytes together: give more memory, or less to these settings"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// Whatever is asked for, the parts are within the total, and none is below its floor.
func TestPartsNeverExceedTheTotal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		pools := some()
		for i := range pools {
			if r.IntN(3) == 0 && pools[i].Setting != "" {
				pools[i].Given = 1 + r.Int64N(500)
			}
			pools[i].Cost = 0.5 + 3*r.Float64()
			pools[i].Share = r.Float64()
		}
		total := r.Int64N(5000)
		parts, err := Divide(total, pools)
		if err != nil {
			continue
		}
		var sum int64
		for _, p := range parts {
			sum += p.Bytes
			if p.Given == 0 && p.Value < p.Floor || p.Given > 0 && p.Value != p.Given || p.Most > 0 && p.Given == 0 && p.Value > p.Most {
				t.Fatalf("%+v", p)
			}
		}
		if sum > total {
			t.Fatalf("%d of %d: %+v", sum, total, parts)
		}
	}
}

func TestParse(t *testing.T) {
	size := func(s string) (int64, error) {
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(s), "k"), 10, 64)
		if strings.HasSuffix(s, "k") {
			n *= 1000
		}
		return n, err
	}
	for text, want := range map[string]int64{"5000": 5000, "5k": 5000, "25%": 2500, " 12.5 % ": 1250, "50% up to 2k": 2000, "10% up to 2k": 1000, "100%": 10000} {
		a, err := Parse(text, size)
		if err != nil || a.Of(10000) != want {
			t.Errorf("%q is %+v, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "x", "0", "-5", "0%", "101%", "-1%", "NaN%", "5k up to 2k", "25% up to", "25% up to 0", "25% up to x", "%"} {
		if a, err := Parse(text, size); err == nil || !strings.Contains(err.Error(), strconv.Quote(text)) {
			t.Errorf("%q is %+v, %v", text, a, err)
		}
	}
}
