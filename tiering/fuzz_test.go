package tiering

import (
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"testing"

	"varve/internal/id"
	"varve/internal/workbound"
	"varve/kafka"
	"varve/metadata"
)

// resealed gives fuzzers a way behind the checksum.
func resealed(b []byte) []byte {
	if len(b) < 9 {
		return b
	}
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[len(b)-4:], kafka.Checksum(b[:len(b)-4]))
	return b
}

func goldenParts(f *testing.F) (x *Index, state, index, footer []byte) {
	object := goldenObject(f)
	foot, err := readFooter("golden", int64(len(object)), func(at, n int64) ([]byte, error) { return object[at : at+n], nil })
	if err != nil {
		f.Fatal(err)
	}
	s := foot.Slices[0]
	index = object[s.IndexAt : s.IndexAt+int64(s.IndexLen)]
	if x, err = decodeIndex(index, s.IndexAt); err != nil {
		f.Fatal(err)
	}
	return x, object[x.StateAt : x.StateAt+int64(x.StateLen)], index, appendFooter(nil, foot)
}

func FuzzIndex(f *testing.F) {
	_, _, index, _ := goldenParts(f)
	f.Add(index)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resealed(b)
		var x *Index
		var err error
		workbound.Check(t, len(b), func() { x, err = decodeIndex(b, 1<<40) })
		if err != nil {
			return
		}
		again, err := decodeIndex(appendIndex(nil, x), 1<<40)
		if err != nil || !reflect.DeepEqual(x, again) {
			t.Fatalf("%+v became %+v: %v", x, again, err)
		}
	})
}

func FuzzState(f *testing.F) {
	_, state, _, _ := goldenParts(f)
	f.Add(state)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p []Producer
		var err error
		workbound.Check(t, len(b), func() { p, err = decodeState(resealed(b)) })
		if err != nil {
			return
		}
		again, err := decodeState(appendState(nil, p))
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v became %+v: %v", p, again, err)
		}
	})
}

func FuzzFooter(f *testing.F) {
	_, _, _, footer := goldenParts(f)
	f.Add(footer)
	f.Fuzz(func(t *testing.T, b []byte) {
		var x *Footer
		var err error
		workbound.Check(t, len(b), func() { x, err = decodeFooter(resealed(b)) })
		if err != nil {
			return
		}
		if again, err := decodeFooter(appendFooter(nil, x)); err == nil && len(again.Slices) != len(x.Slices) {
			t.Fatalf("%+v became %+v", x, again)
		}
	})
}

func FuzzPage(f *testing.F) {
	p := id.Partition{Topic: id.Topic{1}, Index: 3}
	leaf := &page{Partition: p, Topic: "t", Slices: []metadata.Slice{{Object: metadata.Object{Writer: 1, Seq: 1}, Base: 5, End: 9, IndexLen: 3}, {Object: metadata.Object{Writer: 1, Seq: 2}, Base: 9, End: 10, IndexLen: 3}}}
	f.Add(leaf.encode())
	c := leaf.sum()
	c.Page = metadata.Page{Object: metadata.Object{Writer: 1, Seq: 3}, Len: 99}
	f.Add((&page{Partition: p, Level: 1, Children: []child{c}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		var g *page
		var err error
		workbound.Check(t, len(b), func() { g, err = decodePage(resealed(b)) })
		if err != nil {
			return
		}
		again, err := decodePage(g.encode())
		if err != nil || !reflect.DeepEqual(g, again) {
			t.Fatalf("%+v became %+v: %v", g, again, err)
		}
	})
}

// FuzzObject dumps anything that claims to be an object.
func FuzzObject(f *testing.F) {
	f.Add(goldenObject(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		workbound.Check(t, len(b), func() {
			_ = Dump(io.Discard, bytes.NewReader(b), int64(len(b)), DumpOptions{Blocks: true, Batches: true})
		})
	})
}

func FuzzKey(f *testing.F) {
	f.Add("data/3f/12-345")
	f.Add(ObjectKey(metadata.Object{Writer: 1, Seq: 2}))
	f.Add(PageKey(metadata.Object{Writer: 1, Seq: 2}))
	f.Fuzz(func(t *testing.T, key string) {
		o, page, ok := ParseKey(key)
		if ok && key != ObjectKey(o) && key != PageKey(o) || ok && page != (key == PageKey(o)) {
			t.Fatalf("%q reads as %v", key, o)
		}
	})
}
