package partition

import "testing"

func TestReadersOfCommittedTransactionsEndAtTheLastStableOffset(t *testing.T) {
	s := State{LastStable: 7, High: 10, End: 12}
	if all, stable := s.Readable(false), s.Readable(true); all != 10 || stable != 7 {
		t.Errorf("readable to %d, committed transactions to %d", all, stable)
	}
}

// TestStateIsOne: what a read tells of the partition is what the partition tells.
func TestStateIsOne(t *testing.T) {
	b := newBench(t)
	p := b.take(settings())
	for seq := range int32(3) {
		if r := produce(p, 2, 1, 0, 2*seq); r.err != nil {
			t.Fatal(r.err)
		}
	}
	d, _, s, err := p.ReadNear(Reading{Offset: 2, Limit: 1 << 20, Always: true, Epoch: -1})
	d.Release()
	if err != nil || s != p.State() || s.High != 6 || s.LastStable != s.High {
		t.Errorf("%+v, %+v, %v", s, p.State(), err)
	}
	if local, tier := p.Sizes(); local == 0 || tier != 0 {
		t.Errorf("%d bytes here, %d in the tier", local, tier)
	}
}
