package partition

import "testing"

func TestCopies(t *testing.T) {
	c := NewCopies(100)
	if !c.take(1000) || c.take(1) || c.room() != 0 {
		t.Error("what is larger than the bound is not copied alone")
	}
	c.give(1000)
	if !c.take(40) || c.room() != 15 || !c.take(60) || c.take(1) {
		t.Errorf("%d of 100 bytes are in use", c.Used())
	}
	c.give(60)
	if !c.take(20) {
		t.Error("what was given back is not free")
	}
	c.give(60)
	if c.Used() != 0 {
		t.Errorf("%d bytes are in use", c.Used())
	}
	var none *Copies
	if !none.take(1<<40) || none.room() < 1<<20 {
		t.Error("no bound bounds")
	}
	none.give(5)
}
