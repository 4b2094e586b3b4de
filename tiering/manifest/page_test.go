package manifest

import (
	"reflect"
	"testing"

	"varve/internal/id"
	"varve/internal/workbound"
	"varve/metadata/schema"
)

func FuzzPage(f *testing.F) {
	p := id.Partition{Topic: id.Topic{1}, Index: 3}
	leaf := &Page{Partition: p, Topic: "t", Slices: []schema.Slice{{Object: schema.Object{Writer: 1, Seq: 1}, Base: 5, End: 9, IndexLen: 3}, {Object: schema.Object{Writer: 1, Seq: 2}, Base: 9, End: 10, IndexLen: 3}}}
	f.Add(leaf.encode())
	c := leaf.sum()
	c.Page = schema.Page{Object: schema.Object{Writer: 1, Seq: 3}, Len: 99}
	f.Add((&Page{Partition: p, Level: 1, Children: []Child{c}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		var g *Page
		var err error
		workbound.Check(t, len(b), func() { g, err = DecodePage(resealed(b)) })
		if err != nil {
			return
		}
		again, err := DecodePage(g.encode())
		if err != nil || !reflect.DeepEqual(g, again) {
			t.Fatalf("%+v became %+v: %v", g, again, err)
		}
	})
}

// A page that an agent wrote which believed headers, and one above it that is newer, are both
// known as hints.
func TestPagesOfHints(t *testing.T) {
	old, known := schema.Object{Writer: 1, Seq: 9}, schema.Object{Writer: 2, Seq: schema.FirstTimed}
	slice := schema.Slice{Object: old, Base: 0, End: 10, MinTime: 5, MaxTime: 5, IndexLen: 1}
	for _, at := range []schema.Object{old, known} {
		c := Child{Page: schema.Page{Object: at, Len: 9}, Span: SpanOf(&slice), Slices: 1}
		above := &Page{Partition: id.Partition{}, Level: 1, Children: []Child{c}}
		read, err := DecodePage(above.encode())
		if err != nil {
			t.Fatal(err)
		}
		if k := read.Children[0]; !k.Hint {
			t.Errorf("page %v: %+v is taken for known", at, k)
		}
	}
}
