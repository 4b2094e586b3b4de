package bench

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"varve/kafka"
)

func TestHistogramIsExactToOnePercent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	h, all := new(histogram), []time.Duration{}
	for range 20_000 {
		d := time.Duration(r.ExpFloat64() * float64(time.Millisecond))
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, .5, .9, .99, .999} {
		want := all[int(q*float64(len(all)))]
		if got := h.quantile(q); got < want || float64(got) > float64(want)*1.01+1 {
			t.Errorf("quantile %v is %v, the sample's is %v", q, got, want)
		}
	}
	if h.quantile(1) != all[len(all)-1] {
		t.Errorf("quantile 1 is %v, the largest is %v", h.quantile(1), all[len(all)-1])
	}
}

func TestBucketsCoverEveryDuration(t *testing.T) {
	last := -1
	for _, d := range []time.Duration{-1, 0, 1, 127, 128, 129, 255, 256, 1e3, 1e6, 1e9, 1e12, 1<<63 - 1} {
		b := bucket(d)
		if b < last || upper(b) < d {
			t.Errorf("%v is in bucket %d up to %v, after bucket %d", d, b, upper(b), last)
		}
		last = b
	}
	if len(new(histogram).counts) <= last {
		t.Errorf("bucket %d of the longest duration does not exist", last)
	}
}

func TestNothingCountedHasNoLatency(t *testing.T) {
	if l := new(histogram).latency(); l != nil {
		t.Errorf("latency of nothing is %v", l)
	}
}

func TestBatchIsValid(t *testing.T) {
	for _, random := range []bool{false, true} {
		c := Default()
		c.RecordBytes, c.BatchBytes, c.Random = 100, 10_000, random
		b, records := batch(&c, time.UnixMilli(1234))
		first, rest, err := kafka.Next(b)
		if err != nil || len(rest) != 0 {
			t.Fatalf("random %v: %v, %d bytes are left", random, err, len(rest))
		}
		if err := first.CheckCRC(); err != nil {
			t.Errorf("random %v: %v", random, err)
		}
		if len(b) > c.BatchBytes || len(b) < c.BatchBytes-200 {
			t.Errorf("random %v: the batch has %d bytes, at most %d are wanted", random, len(b), c.BatchBytes)
		}
		if int(first.Count()) != records || first.LastOffset() != int64(records-1) || first.MaxTimestamp() != 1234 {
			t.Errorf("random %v: %d records, %d in the header, last offset %d, newest %d", random, records, first.Count(), first.LastOffset(), first.MaxTimestamp())
		}
	}
}

func TestPayloadIsOfItsSize(t *testing.T) {
	for _, n := range []int{8, 9, 1024, 5000} {
		for _, random := range []bool{false, true} {
			if got := len(payload(n, random, 1)); got != n {
				t.Errorf("payload of %d bytes, random %v, has %d", n, random, got)
			}
		}
	}
}

func TestWalkStopsAtACutBatch(t *testing.T) {
	c := Default()
	c.RecordBytes, c.BatchBytes = 10, 240
	b, n := batch(&c, time.UnixMilli(0))
	if n != 10 {
		t.Fatalf("the batch has %d records", n)
	}
	second := slices.Clone(b)
	binary.BigEndian.PutUint64(second, 10)
	whole := append(slices.Clone(b), second...)
	if next, records := walk(whole, 0); next != 20 || records != 20 {
		t.Errorf("two batches end at %d with %d records", next, records)
	}
	if next, records := walk(whole[:len(whole)-1], 0); next != 10 || records != 10 {
		t.Errorf("with the second cut they end at %d with %d records", next, records)
	}
	if next, records := walk(nil, 7); next != 7 || records != 0 {
		t.Errorf("nothing ends at %d with %d records", next, records)
	}
}

func FuzzWalk(f *testing.F) {
	c := Default()
	c.RecordBytes, c.BatchBytes = 10, 100
	b, _ := batch(&c, time.UnixMilli(0))
	f.Add(b)
	f.Add(b[:70])
	f.Add(make([]byte, 61))
	f.Fuzz(func(t *testing.T, b []byte) { walk(b, 0) }) // it ends, and does not panic
}

func TestParseStat(t *testing.T) {
	line := "42 (a )b c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 123 1000000 10 184 " + strings.Repeat("0 ", 28)
	u, err := parseStat(line)
	if err != nil || u.seconds != 3 || u.rss%10 != 0 || u.rss == 0 {
		t.Errorf("parsed %+v, %v", u, err)
	}
	for _, bad := range []string{"", "42 (x) S 1", strings.Replace(line, " 250 ", " x ", 1)} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestUsageOfAProcessThatIsGone(t *testing.T) {
	if _, err := usageOf([]int{1 << 30}); err == nil {
		t.Error("a process that does not exist has a use")
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for want, change := range map[string]func(*Config){
		"record size": func(c *Config) { c.RecordBytes = 7 },
		"depth":       func(c *Config) { c.Depth = 0 },
		"duration":    func(c *Config) { c.Duration = 0 },
		"compression": func(c *Config) { c.Compression = "rar" },
		"acks":        func(c *Config) { c.Acks = 2 },
		"idempotent":  func(c *Config) { c.Acks, c.Idempotent = 0, true },
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("wrong %s: %v", want, err)
		}
	}
}
