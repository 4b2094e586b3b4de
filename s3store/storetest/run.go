// Package storetest holds what every s3store.Store must do, as one suite that
// all drivers and decorators run. It is test support.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"varve/s3store"
)

// Run checks a kind of store against all that the interface promises. Each call
// of open returns an empty store; bigBytes is the size of the objects that must
// go up in several parts where the driver has parts.
func Run(t *testing.T, bigBytes int, open func(t *testing.T) s3store.Store) {
	RunObjects(t, bigBytes, open)
	runAll(t, bigBytes, open, []test{
		{"keys at the limits", (*suite).keysAtLimits},
		{"bad keys are refused", (*suite).badKeys},
		{"list order and prefixes", (*suite).listOrder},
		{"list from anywhere", (*suite).listFromAnywhere},
		{"many keys are listed and deleted", (*suite).manyKeys},
		{"delete", (*suite).delete},
		{"ended context", (*suite).endedContext},
		{"prefixes are apart", (*suite).prefixesApart},
		{"readers and writers at once", (*suite).concurrency},
	})
}

// RunObjects is the part of Run that is about writing and reading objects, for
// settings of a driver that change only these requests.
func RunObjects(t *testing.T, bigBytes int, open func(t *testing.T) s3store.Store) {
	runAll(t, bigBytes, open, []test{
		{"put replaces and get returns it", (*suite).putReplaces},
		{"empty object", (*suite).emptyObject},
		{"absent objects", (*suite).absentObjects},
		{"put if absent", (*suite).putIfAbsent},
		{"put if absent has one winner", (*suite).oneWinner},
		{"ranges", (*suite).ranges},
		{"invalid ranges are refused", (*suite).invalidRanges},
		{"big object", (*suite).bigObject},
		{"big put if absent has one winner", (*suite).bigOneWinner},
		{"a body that fails leaves nothing", (*suite).failingBody},
		{"head tells size and time", (*suite).head},
		{"probe", (*suite).probe},
	})
}

type test struct {
	name string
	run  func(*suite)
}

func runAll(t *testing.T, bigBytes int, open func(t *testing.T) s3store.Store, tests []test) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := open(t)
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test.run(&suite{t, t.Context(), store, bigBytes})
		})
	}
}

type suite struct {
	*testing.T
	ctx      context.Context
	store    s3store.Store
	bigBytes int
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) is(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Fatalf("got error %v, want %v", err, want)
	}
}

func (s *suite) put(key string, data string) {
	s.Helper()
	s.ok(s.store.Put(s.ctx, key, bytes.NewReader([]byte(data))))
}

// get reads a range to its end.
func (s *suite) get(key string, off, length int64) []byte {
	s.Helper()
	data, err := s.tryGet(key, off, length)
	s.ok(err)
	return data
}

func (s *suite) tryGet(key string, off, length int64) ([]byte, error) {
	body, err := s.store.Get(s.ctx, key, off, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func (s *suite) holds(key string, want []byte) {
	s.Helper()
	if got := s.get(key, 0, -1); !bytes.Equal(got, want) {
		s.Fatalf("%q holds %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(want), want)
	}
}

func (s *suite) list(prefix, after string) []string {
	s.Helper()
	var keys []string
	s.ok(s.store.List(s.ctx, prefix, after, func(object s3store.Object) bool {
		keys = append(keys, object.Key)
		return true
	}))
	return keys
}

func (s *suite) lists(prefix, after string, want []string) {
	s.Helper()
	if got := s.list(prefix, after); !slices.Equal(got, want) {
		s.Fatalf("list %q after %q: %d keys %.300q, want %d keys %.300q",
			prefix, after, len(got), fmt.Sprint(got), len(want), fmt.Sprint(want))
	}
}

// noise is data of which every part differs; the same seed returns the same.
func noise(size int, seed uint64) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(data)
	return data
}
