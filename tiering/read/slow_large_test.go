package read

import (
	"testing"
	"time"

	"varve/kafka"
	"varve/tiering/tiertest"
)

// Answers that their clients don't take are bounded by the budget also where each is a
// single batch larger than a client's share.
func TestSlowClientsOfLargeBatchesStayWithinTheBudget(t *testing.T) {
	const batch = 2 << 20
	cfg := testConfig()
	cfg.reader.MemoryBytes, cfg.reader.ChunkBytes, cfg.reader.ReadaheadBytes = 8<<20, 512<<10, 0
	cfg.reader.MemoryWait = 200 * time.Millisecond
	cfg.upload.Compress = false
	w := newWorld(t, cfg)
	rng := tiertest.Rand(1)
	s := w.Source(1, 0)
	for range 8 {
		s.Produce(tiertest.RandomBatch(t, rng, kafka.None, 1, batch, 1), 0, w.Now.Millis())
	}
	w.Flush()
	held := map[*byte]int{}
	var answers []Data
	for client := range int64(40) {
		d, err := w.reader.Read(t.Context(), s.Head(), s.ID, client%8, max(1, w.reader.Share()))
		if err != nil {
			break // refused until others are taken: bounded as well
		}
		answers = append(answers, d)
		for _, p := range d.Pieces {
			held[&p[0]] = len(p)
		}
	}
	total := 0
	for _, n := range held {
		total += n
	}
	if most := int(cfg.reader.MemoryBytes) + 2*batch; total > most {
		t.Errorf("%d answers hold %d bytes, %d of them are counted; the budget is %d", len(answers), total, w.reader.parts.memory.inUse(), cfg.reader.MemoryBytes)
	}
	for i := range answers {
		answers[i].Release()
	}
}
