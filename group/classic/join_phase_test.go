package classic

import (
	"testing"
	"time"
)

// An initial join phase goes on in steps as long as members come, up to their rebalance
// timeout; any other has no further steps.
func TestInitialJoinPhaseGoesOnWhileMembersCome(t *testing.T) {
	const delay, timeout = 3 * time.Second, 8 * time.Second
	var p joinPhase
	took := p.begin(delay, timeout)
	for {
		p.came = true
		d, more := p.more(delay)
		if !more {
			break
		}
		took += d
	}
	if took != timeout {
		t.Errorf("it took %v while members came, want %v", took, timeout)
	}
	if p.begin(delay, timeout); p.came {
		t.Error("it begins as if members had come")
	}
	if d, more := p.more(delay); more {
		t.Errorf("it goes on for %v though nobody came", d)
	}
	p = joinPhase{came: true, left: timeout}
	if _, more := p.more(delay); more {
		t.Error("a phase that isn't initial goes on")
	}
}
