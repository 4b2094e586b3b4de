package marker

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"varve/s3store"
	"varve/tiering/object"
)

var sample = Marker{Cluster: "AAAAAAAAAAAAAAAAAAAAAA", Place: "BBBBBBBBBBBBBBBBBBBBBA", Created: time.UnixMilli(1_700_000_000_123), By: "agent 1, v1.0.0"}

// golden is what version 1 writes, for ever.
const golden = "5641525645434c550100000016" + "41414141414141414141414141414141414141414141" + "16" + "42424242424242424242424242424242424242424241" +
	"f6a1abfef962" + "0f6167656e7420312c2076312e302e30" + "15fae356"

func TestGoldenMarker(t *testing.T) {
	made := sample.Encode()
	if got := hex.EncodeToString(made); got != golden {
		t.Errorf("a marker is written as\n%s", got)
	}
	m, err := decode(made)
	if err != nil || m.Cluster != sample.Cluster || m.Place != sample.Place || !m.Created.Equal(sample.Created) || m.By != sample.By {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestDamagedMarker: whatever is changed or missing is noticed, and a later version is distinguished
// from damage.
func TestDamagedMarker(t *testing.T) {
	made := sample.Encode()
	for at := range made {
		damaged := bytes.Clone(made)
		damaged[at] ^= 0x10
		for _, b := range [][]byte{damaged, made[:at]} {
			var corrupt *object.CorruptError
			if _, err := decode(b); !errors.As(err, &corrupt) {
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	}
	later := bytes.Clone(made)
	later[8] = 2
	if _, err := decode(later); !errors.Is(err, object.ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
	if _, err := decode(make([]byte, maxBytes+1)); err == nil {
		t.Error("it may have any size")
	}
}

func FuzzMarker(f *testing.F) {
	f.Add(sample.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decode(b); err == nil && !bytes.Equal(m.Encode(), b) {
			t.Errorf("%x is read as %+v", b, m)
		}
	})
}

// TestMarkerIsWrittenOnce: the second writer is refused; what isn't a marker is no absence.
func TestMarkerIsWrittenOnce(t *testing.T) {
	store, ctx := s3store.NewMemory(), t.Context()
	if m, err := Read(ctx, store); m != nil || err != nil {
		t.Errorf("%+v, %v", m, err)
	}
	second := Marker{Cluster: "other"}
	if err := errors.Join(Write(ctx, store, &sample)); err != nil {
		t.Fatal(err)
	}
	if err := Write(ctx, store, &second); !errors.Is(err, s3store.ErrExists) {
		t.Errorf("written twice: %v", err)
	}
	if m, err := Read(ctx, store); err != nil || m.Cluster != sample.Cluster {
		t.Errorf("%+v, %v", m, err)
	}
	for _, junk := range []string{"", "hello"} {
		if err := store.Put(ctx, Key, bytes.NewReader([]byte(junk))); err != nil {
			t.Fatal(err)
		}
		var corrupt *object.CorruptError
		if _, err := Read(ctx, store); !errors.As(err, &corrupt) {
			t.Errorf("%q: %v", junk, err)
		}
	}
}
