package health

import (
	"fmt"
	"time"

	"varve/internal/say"
)

// Self is what an agent's readiness is made of.
type Self struct {
	Starting    string // what a start is about; empty: it is over
	Stopping    bool
	SessionLost bool
	Opening     int    // partitions that it owns and has not opened
	Unserved    Reason // one that it can't open
	Recovering  int    // partitions of its former self that no one has yet, after a start
	Full        string // why the disk takes no further file
	JournalFull bool   // producers are refused until the bucket takes what waits
	// FirstBucket is why the bucket doesn't work, which it never did for this agent.
	FirstBucket string
}

// NotReady lists why the agent doesn't serve what it owns; nil: it does. The state of the
// cluster is no reason.
func (s *Self) NotReady() (why []string) {
	if s.Starting != "" {
		return []string{s.Starting}
	}
	if s.Stopping {
		why = append(why, "the agent is stopping")
	}
	if s.SessionLost {
		why = append(why, "the session with etcd was lost, and is being taken anew")
	}
	if s.FirstBucket != "" {
		why = append(why, "the bucket has never worked for this agent: "+s.FirstBucket)
	}
	if s.Recovering > 0 {
		why = append(why, fmt.Sprintf("%s no leader yet, which this agent had before it started", say.Count(s.Recovering, "partition has", "partitions have")))
	}
	switch {
	case s.Unserved.What != "":
		why = append(why, fmt.Sprintf("%s that this agent owns can't be served yet; %s: %s", say.Count(s.Opening, "partition"), s.Unserved.What, s.Unserved.Why))
	case s.Opening > 0:
		why = append(why, "this agent is opening "+say.Count(s.Opening, "partition")+" that it owns")
	}
	if s.Full != "" {
		why = append(why, s.Full)
	} else if s.JournalFull {
		why = append(why, "the journal is full: producers are refused until the bucket takes what waits")
	}
	return why
}

// Remarks lists what is not as it should be with an agent that may well be ready.
func (r *Report) Remarks() (notes []string) {
	if r.Bucket.Error != "" {
		notes = append(notes, "the bucket does not answer: "+r.Bucket.Error)
	}
	for _, text := range []string{r.BucketDanger, r.BucketCost} {
		if text != "" {
			notes = append(notes, text)
		}
	}
	if r.Etcd.Error != "" {
		notes = append(notes, "etcd does not answer: "+r.Etcd.Error)
	}
	if r.Disk.Low && r.Disk.Full == "" {
		notes = append(notes, fmt.Sprintf("the disk is nearly full: %s are free, %s of them reserved; producers are slowed down", say.Bytes(r.Disk.FreeBytes), say.Bytes(r.Disk.ReserveBytes)))
	}
	notes = append(notes, r.Clocks.off()...)
	if r.HoleCount > 0 {
		notes = append(notes, fmt.Sprintf("%s of records can't be read, such as %s: %s", say.Count(r.HoleCount, "range"), r.Holes[0].String(), r.Holes[0].Why))
	}
	for _, s := range r.Stuck {
		notes = append(notes, "partition "+s.What+" can't be uploaded: "+s.Why)
	}
	return notes
}

// SkewLimit is the difference of clocks that is worth a word. A clock that is read in
// whole seconds is this exact.
const SkewLimit = 5 * time.Second

// off reports which clocks are too far from the agent's.
func (c *Clocks) off() (lines []string) {
	for _, other := range []struct {
		name string
		ms   *int64
	}{{"etcd", c.EtcdMs}, {"the bucket", c.BucketMs}} {
		if other.ms == nil {
			continue
		}
		skew := time.Duration(*other.ms) * time.Millisecond
		if skew.Abs() >= SkewLimit {
			word := "behind"
			if skew < 0 {
				word = "ahead of"
			}
			lines = append(lines, fmt.Sprintf("this agent's clock is %v %s that of %s", skew.Abs().Round(time.Second), word, other.name))
		}
	}
	return lines
}
