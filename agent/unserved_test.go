package agent

import (
	"errors"
	"testing"

	"varve/internal/id"
	"varve/metadata/schema"
)

// TestUnservedElsewhereIsForgotten: what an agent could not serve and is given to another,
// or deleted, doesn't keep it from being ready.
func TestUnservedElsewhereIsForgotten(t *testing.T) {
	w := newWorld(t)
	one := w.start()
	one.produce("t", 0, 1)
	why := errors.New("its tail can't be read")
	deleted, mine := id.Partition{Topic: id.Topic{9}}, id.Partition{Topic: id.Topic{8}}
	var head schema.Head
	head.Give(one.inc, one.self)
	meta := w.meta.Open()
	defer meta.Close()
	if _, err := meta.Txn(t.Context(), nil, schema.StoredHead{Partition: mine}.Ops(&head)...); err != nil {
		t.Fatal(err)
	}
	one.until("it is seen", func() bool { o, _ := one.view.Owner(mine); return o.Incarnation == one.inc })
	for _, p := range []id.Partition{deleted, mine} {
		one.unserved.Note("x", p, why)
	}
	one.view.Touch()
	one.until("what is deleted is forgotten", func() bool { return one.unserved.All()[deleted] == "" })
	if one.unserved.All()[mine] == "" {
		t.Error("what is owned and not served is forgotten")
	}
	head.Give(one.inc+100, 2)
	if _, err := meta.Txn(t.Context(), nil, schema.StoredHead{Partition: mine}.Ops(&head)...); err != nil {
		t.Fatal(err)
	}
	one.until("what is another's is forgotten", func() bool { return len(one.unserved.All()) == 0 })
}
