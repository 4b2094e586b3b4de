package chance

import (
	"bytes"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func take(s *Source) []byte {
	var out bytes.Buffer
	for i := range 20 {
		b := make([]byte, i)
		_, _ = s.Read(b)
		out.Write(b)
		out.WriteString(s.Spread(time.Second).String())
	}
	return out.Bytes()
}

func TestASeedDecidesEverything(t *testing.T) {
	seeded := func(seed byte) *Source { return New(rand.NewChaCha8([32]byte{seed})) }
	if !bytes.Equal(take(seeded(1)), take(seeded(1))) {
		t.Error("the same seed gives something else")
	}
	if bytes.Equal(take(seeded(1)), take(seeded(2))) {
		t.Error("two seeds give the same")
	}
	if bytes.Equal(take(nil), take(nil)) {
		t.Error("the system repeats itself")
	}
}

func TestPartsDoNotDisturbEachOther(t *testing.T) {
	parts := func(first int) (one, other []byte) {
		s := New(rand.NewChaCha8([32]byte{1}))
		a, b := s.Split(), s.Split()
		for range first {
			a.Uint64()
		}
		return take(a), take(b)
	}
	one, other := parts(0)
	if _, same := parts(5); !bytes.Equal(other, same) {
		t.Error("what one part takes changes what another gets")
	}
	if bytes.Equal(one, other) {
		t.Error("two parts get the same")
	}
	if (*Source)(nil).Split() != nil {
		t.Error("a part of the system's is something else")
	}
}

func TestSpreadStaysWithinBounds(t *testing.T) {
	s := New(rand.NewChaCha8([32]byte{}))
	for _, d := range []time.Duration{0, 1, 2, 3, time.Second} {
		low, high := time.Duration(1<<62), time.Duration(-1)
		for range 1000 {
			x := s.Spread(d)
			low, high = min(low, x), max(high, x)
		}
		if low < d/2 || high > d || d > 3 && high-low < d/3 {
			t.Errorf("%v is spread over %v to %v", d, low, high)
		}
	}
}

// Callers at the same time never share bytes, and short reads are made whole.
func TestManyUseOneSource(t *testing.T) {
	counting := make([]byte, 8*4000)
	for i := range counting {
		counting[i] = byte(i / 8 >> (i % 8 * 8))
	}
	s := New(iotest.OneByteReader(bytes.NewReader(counting)))
	seen := make([][]uint64, 4)
	var wg sync.WaitGroup
	for i := range seen {
		wg.Go(func() {
			for range 1000 {
				seen[i] = append(seen[i], s.Uint64())
			}
		})
	}
	wg.Wait()
	all := map[uint64]bool{}
	for _, list := range seen {
		for _, n := range list {
			all[n] = true
		}
	}
	if len(all) != 4000 || !all[0] || !all[3999] {
		t.Errorf("%d different numbers of 4000", len(all))
	}
}

func TestAnEndOfRandomnessIsNotIgnored(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it went on without randomness")
		}
	}()
	_ = New(iotest.ErrReader(io.EOF)).Uint64()
}
