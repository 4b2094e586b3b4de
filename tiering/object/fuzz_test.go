package object

import (
	"bytes"
	"io"
	"reflect"
	"testing"

	"varve/internal/workbound"
	"varve/metadata/schema"
)

func goldenParts(f *testing.F) (x *Index, state, index, footer []byte) {
	object := goldenObject(f)
	foot, err := readFooter("golden", int64(len(object)), func(at, n int64) ([]byte, error) { return object[at : at+n], nil })
	if err != nil {
		f.Fatal(err)
	}
	s := foot.Slices[0]
	index = object[s.IndexAt : s.IndexAt+int64(s.IndexLen)]
	if x, err = DecodeIndex(index, s.IndexAt); err != nil {
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
		workbound.Check(t, len(b), func() { x, err = DecodeIndex(b, 1<<40) })
		if err != nil {
			return
		}
		again, err := DecodeIndex(appendIndex(nil, x), 1<<40)
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
		workbound.Check(t, len(b), func() { p, err = DecodeState(resealed(b)) })
		if err != nil {
			return
		}
		again, err := DecodeState(appendState(nil, p))
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
	f.Add(Key(schema.Object{Writer: 1, Seq: 2}))
	f.Add(PageKey(schema.Object{Writer: 1, Seq: 2}))
	f.Fuzz(func(t *testing.T, key string) {
		o, page, ok := ParseKey(key)
		if ok && key != Key(o) && key != PageKey(o) || ok && page != (key == PageKey(o)) {
			t.Fatalf("%q reads as %v", key, o)
		}
	})
}
