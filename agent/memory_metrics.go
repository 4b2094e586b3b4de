package agent

import (
	"runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"

	"varve/internal/offheap"
	"varve/kafka"
)

var (
	memoryLimit      = gaugeDesc("memory_limit_bytes", "Share of the memory of each pool (see varve config).", "pool")
	memoryUsed       = gaugeDesc("memory_used_bytes", "Memory in use by each pool. Pool other is the rest of the Go heap, including garbage.", "pool")
	memoryTotalLimit = gaugeDesc("memory_total_limit_bytes", "Memory that the process may use: the setting memory.")
	memoryHalved     = gaugeDesc("memory_caches_halved", "Number of times the caches are halved now because the cgroup or the host is short of memory.")
	memoryTotalUsed  = gaugeDesc("memory_total_used_bytes", "Memory that the process uses; the program itself is an estimate.")
)

// memoryGauges collects the process's memory at each scrape.
type memoryGauges struct{ a *Agent }

func (g memoryGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{memoryLimit, memoryUsed, memoryTotalLimit, memoryTotalUsed, memoryHalved} {
		ch <- d
	}
}

func (g memoryGauges) Collect(ch chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	used := g.a.memoryUsed()
	total := goMemory() + offheap.Mapped() + used["program"]
	tell(memoryTotalLimit, g.a.deps.Memory.Total)
	tell(memoryTotalUsed, total)
	tell(memoryHalved, g.halved())
	for _, p := range g.a.deps.Memory.Parts {
		tell(memoryLimit, p.Bytes, p.Name)
		tell(memoryUsed, used[p.Name], p.Name)
	}
}

// memoryUsed returns what each pool has in use.
func (a *Agent) memoryUsed() map[string]int64 {
	if !a.hasStarted() {
		return nil
	}
	w, b := a.store.Memory(), a.serves.broker.Memory()
	data, meta := a.tier.Memory()
	used := map[string]int64{
		"journal_index": w.Index, "tier_reads": data, "tier_indexes": meta, "uploads": a.tier.upload.Memory(),
		"large_requests": b.Large, "small_requests": b.Small, "fetch_answers": a.serves.parts.Copies.Used(), "decompression": kafka.Decompressed(),
		"connections": int64(b.Connections) * perConnection, "replication": a.near.peers.Memory(),
	}
	other := goMemory()
	for _, n := range used {
		other -= n
	}
	used["other"] = max(0, other)
	used["program"], used["journal_cache"], used["journal_reads"] = programBytes, w.Cache, w.Reads
	return used
}

// goMemory returns what Go's runtime has taken of the system and not given back.
func goMemory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}

// halved returns how often the caches are halved now.
func (g memoryGauges) halved() int64 {
	if !g.a.hasStarted() {
		return 0
	}
	return g.a.serves.memory.halved.Load()
}
