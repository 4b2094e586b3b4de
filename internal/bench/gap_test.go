package bench

import (
	"testing"
	"time"
)

func TestAPartitionThatStaysAwayCountsToTheEnd(t *testing.T) {
	end := time.Unix(100, 0)
	g := &gapRun{all: make([]probe, 5), from: end.Add(-4 * time.Second)}
	g.all[0].acked, g.all[0].longest = end, 20*time.Millisecond
	g.all[1].acked, g.all[1].longest = end.Add(-3*time.Second), 20*time.Millisecond
	g.all[2].acked, g.all[2].longest = end.Add(time.Millisecond), 40*time.Millisecond // acknowledged while the run ended
	g.all[4].acked = end.Add(-time.Hour)                                              // before what is measured
	gaps, silent := g.gaps(end)
	if silent != 1 {
		t.Errorf("%d partitions were silent", silent)
	}
	if gaps.n != 4 || gaps.max != 4*time.Second {
		t.Errorf("%d gaps, the longest %v", gaps.n, gaps.max)
	}
	if half := gaps.quantile(0.5); half < 3*time.Second || half > 3030*time.Millisecond {
		t.Errorf("the median is %v", half)
	}
}
