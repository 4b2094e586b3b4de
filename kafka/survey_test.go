package kafka

import (
	"errors"
	"math"
	"testing"

	"varve/internal/workbound"
)

func survey(b Batch) (s Survey, err error) {
	err = b.Open(1<<20, func(d Body) error {
		s, err = d.Survey()
		return err
	})
	return s, err
}

func TestSurvey(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		got, err := survey(build(t, c, 50))
		want := Survey{FirstTime: 1000, MinTime: 1000, MaxTime: 1049, Ordered: true, NullKeys: true}
		if err != nil || got != want {
			t.Errorf("%v: %+v, %v, want %+v", c, got, err, want)
		}
	}
}

// FuzzSurvey: the survey, which is made to be fast, finds what the records are one by one.
func FuzzSurvey(f *testing.F) {
	for c := None; c <= Zstd; c++ {
		f.Add(uint8(c), uint16(3), []byte(build(f, None, 3)[BatchHeaderBytes:]))
	}
	f.Add(uint8(0), uint16(1), []byte{14, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0x80, 0x80, 0x80, 0x80, 0x7f, 1, 1, 0})
	f.Fuzz(func(t *testing.T, codec uint8, count uint16, body []byte) {
		b, err := Build(Codec(codec%5), []NewRecord{{Timestamp: 1000}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err = b.with(b.Codec(), body, 1000)
		if err != nil {
			t.Fatal(err)
		}
		b[59], b[60] = byte(count>>8), byte(count)
		want := Survey{MinTime: math.MaxInt64, MaxTime: NoTimestamp, Ordered: true}
		one := b.Open(1<<20, func(d Body) error {
			return d.Each(func(r *Record) error {
				if r.Index == 0 {
					want.FirstTime = r.Timestamp
				}
				if r.Timestamp != NoTimestamp {
					want.MinTime = min(want.MinTime, r.Timestamp)
				}
				want.MaxTime = max(want.MaxTime, r.Timestamp)
				want.Ordered = want.Ordered && r.delta == int32(r.Index)
				want.NullKeys = want.NullKeys || r.Key == nil
				_, err := r.Headers()
				return err
			})
		})
		var got Survey
		workbound.Check(t, len(body)+1<<20, func() { got, err = survey(b) })
		if (err == nil) != (one == nil) || err == nil && got != want {
			t.Fatalf("surveyed %+v, %v; one by one %+v, %v", got, err, want, one)
		}
		if err != nil && !errors.Is(err, ErrInvalidRecord) && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
	})
}
