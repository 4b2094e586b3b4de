package agent

import (
	"strings"
	"testing"

	"varve/internal/settings"
)

func sharing(t *testing.T, memory string, change func(*Config)) (Config, Memory, error) {
	t.Helper()
	c := SharedConfig()
	c.Memory = memory
	if change != nil {
		change(&c)
	}
	m, err := c.ShareMemory(64 << 30)
	if e := c.Validate(); e != nil {
		t.Errorf("%s: the settings that were shared out are refused: %v", memory, e)
	}
	for _, s := range settings.Of(&c) {
		if s.Shares() && err == nil {
			t.Errorf("%s: %s got no value", memory, s.Path)
		}
	}
	return c, m, err
}

// A bound of the user's holds, also below what a percentage comes to at least.
func TestMemoryUpTo(t *testing.T) {
	for memory, want := range map[string]int64{"25% up to 200MiB": 200 << 20, "0.1%": leastMemory, "0.1% up to 1GiB": leastMemory} {
		if _, m, err := sharing(t, memory, func(*Config) {}); err != nil || m.Total != want {
			t.Errorf("%s: %d bytes, not %d: %v", memory, m.Total, want, err)
		}
	}
}

// The pools never are more than the whole, what works at the least memory is valid, and with
// much of it pools are as large as they were before they shared one.
func TestSharesOfMemory(t *testing.T) {
	d := DefaultConfig()
	var cache int64
	for _, memory := range []string{"192MiB", "256MiB", "300000001", "512MiB", "1GiB", "2GiB", "4GiB", "25%", "100%"} {
		for _, factor := range []int{1, 2, 3, 5} {
			c, m, err := sharing(t, memory, func(c *Config) {
				if c.Replication.Factor, c.Replication.Quorum = factor, factor/2+1; factor == 1 {
					c.Peer.Bind = ""
				}
			})
			if err != nil {
				if factor <= 3 {
					t.Errorf("%s: %v", memory, err)
				}
				continue
			}
			var sum int64
			for _, p := range m.Parts {
				sum += p.Bytes
			}
			if sum > m.Total || m.Heap() >= m.Total {
				t.Errorf("%s: the parts are %d of %d bytes, %d in the heap", memory, sum, m.Total, m.Heap())
			}
			if factor == 3 && c.Journal.CacheBytes < cache {
				t.Errorf("%s: the cache has %d bytes, less than with less memory", memory, c.Journal.CacheBytes)
			}
			if factor == 3 {
				cache = c.Journal.CacheBytes
			}
			if memory == "100%" {
				if c.Read.MemoryBytes != mostReads {
					t.Errorf("with much memory read.memory_bytes is %d", c.Read.MemoryBytes)
				}
				c.Journal.CacheBytes, c.Journal.IndexBytes, c.Memory = d.Journal.CacheBytes, d.Journal.IndexBytes, ""
				c.Read.MemoryBytes = d.Read.MemoryBytes
				c.Replication, c.Peer = d.Replication, d.Peer
				for i, s := range settings.Of(&c) {
					if !s.Equal(settings.Of(&d)[i]) {
						t.Errorf("with much memory %s is %s", s.Path, s)
					}
				}
			}
		}
	}
	if cache < 55<<30 {
		t.Errorf("of 64 GiB the cache gets %d bytes", cache)
	}
}

// A percentage of little is still enough to work with.
func TestShareOfSmallMachines(t *testing.T) {
	for size, want := range map[int64]int64{200 << 20: 200 << 20, 512 << 20: 256 << 20, 8 << 30: 2 << 30} {
		c := SharedConfig()
		if m, err := c.ShareMemory(size); err != nil || m.Total != want {
			t.Errorf("of %d bytes it takes %d: %v", size, m.Total, err)
		}
	}
	c := SharedConfig()
	if _, err := c.ShareMemory(100 << 20); err == nil {
		t.Error("100 MiB are enough")
	}
}

// Given values stay, and come out of the whole first.
func TestGivenSharesOfMemory(t *testing.T) {
	c, m, err := sharing(t, "1GiB", func(c *Config) {
		c.Journal.CacheBytes, c.Kafka.MaxRequestBytes, c.Journal.ChunkBytes, c.Read.ChunkBytes, c.Kafka.MaxConnections = 100<<20, 50<<20, 4<<20, 8<<20, 5000
		c.Journal.FileBytes = 128 << 20
	})
	if err != nil || c.Journal.CacheBytes != 100<<20 || c.Kafka.MaxRequestBytes != 50<<20 || c.Kafka.RequestMemoryBytes < 50<<20 || c.Read.MemoryBytes < 64<<20 || c.Kafka.MaxConnections != 5000 {
		t.Errorf("%v: %+v %+v", err, c.Kafka, m)
	}
	c, _, err = sharing(t, "256MiB", func(c *Config) { c.Journal.CacheBytes, c.Upload.RoundBytes = 200<<20, 80<<20 })
	want := "memory is 256 MiB, but journal.cache_bytes (200 MiB), upload.round_bytes (80 MiB, for which 100 MiB are needed) and the least that all else works with"
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	if c.Journal.CacheBytes != 200<<20 || c.Kafka.MaxRequestBytes != DefaultConfig().Kafka.MaxRequestBytes {
		t.Errorf("what doesn't fit was changed: %+v", c)
	}
	for memory, want := range map[string]string{"128MiB": "must be at least 19", "65GiB": "must be at most 64 GiB", "many": "must be a size", "0": "must be a size"} {
		if _, _, err := sharing(t, memory, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", memory, err)
		}
	}
}
