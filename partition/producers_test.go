package partition

import "testing"

// Whoever makes a producer for each task can't fill the memory: those that were silent
// for longest are forgotten, and nobody else.
func TestTooManyProducersAreShed(t *testing.T) {
	var ps producers
	for pid := range int64(maxProducers + 1) {
		if n := ps.shed(); n != 0 {
			t.Fatalf("%d of %d producers shed", n, len(ps.by))
		}
		ps.note(pid, 0, 0, 0, pid, 1000+pid)
	}
	ps.note(0, 0, 1, 0, maxProducers+1, 1_000_000) // the oldest is heard of again
	if n, want := ps.shed(), maxProducers/8+1; n != want || len(ps.by) != maxProducers*7/8 {
		t.Errorf("%d shed and %d left, not %d", n, len(ps.by), want)
	}
	for pid := range int64(maxProducers + 1) {
		if known := ps.by[pid] != nil; known != (pid == 0 || pid > maxProducers/8+1) {
			t.Errorf("producer %d: known %v", pid, known)
		}
	}
}

// TestSnapshotIsOfOneMoment: what is appended while a snapshot is put in order is not in it.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	var ps producers
	for seq := range int32(keepBatches) {
		for _, pid := range []int64{9, 7, 8} {
			ps.note(pid, 0, seq, 0, int64(seq), 1)
		}
	}
	ps.note(5, 0, 0, 0, 100, 1) // not committed
	all := ps.copy()
	for _, pid := range []int64{7, 6} {
		ps.note(pid, 0, keepBatches, 0, keepBatches, 2)
	}
	got := snapshot(all, keepBatches-1)
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, p := range got {
		if p.ID != int64(7+i) || p.Timestamp != 1 || len(p.Batches) != keepBatches-1 || p.Batches[0].Base != 0 {
			t.Errorf("producer %d: %+v", i, p)
		}
	}
}
