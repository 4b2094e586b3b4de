package cluster

import (
	"errors"
	"maps"

	"varve/metadata"
)

// records are all records of one kind, which a View follows.
type records interface {
	// clear forgets all of them.
	clear()
	// apply takes one change. It reports whether readers of the view may see it.
	apply(e metadata.Event) (news bool, err error)
	// settle ends a batch of changes.
	settle()
}

// kind is a kind of records, with the prefix of its keys.
type kind struct {
	prefix  string
	records records
}

// table holds the records of one kind, decoded, by what their keys name. The view's lock
// guards it.
type table[K comparable, V any] struct {
	rows   map[K]V
	parse  func(key string) (K, error)
	decode func(k K, kv metadata.KV) (V, error)
	// silent, if not nil, reports whether readers see no difference. The zero V stands for
	// a record that isn't there.
	silent func(before, now V) bool
	// changed, if not nil, is called with a record before and after a change, to keep what
	// is derived from it.
	changed func(k K, before, now *V)
	// settled, if not nil, is called after every batch of changes, before it counts as seen.
	settled func()
}

func newTable[K comparable, V any](parse func(string) (K, error), decode func(K, metadata.KV) (V, error)) *table[K, V] {
	return &table[K, V]{rows: map[K]V{}, parse: parse, decode: decode}
}

func (t *table[K, V]) clear() {
	if t.changed != nil {
		for k, v := range t.rows {
			t.changed(k, &v, nil)
		}
	}
	clear(t.rows)
}

func (t *table[K, V]) settle() {
	if t.settled != nil {
		t.settled()
	}
}

// apply keeps what was known when a new value can't be decoded: it isn't deleted.
func (t *table[K, V]) apply(e metadata.Event) (news bool, err error) {
	k, err := t.parse(e.KV.Key)
	switch {
	case errors.Is(err, errOtherKey):
		return false, nil
	case err != nil:
		return true, err
	}
	before, known := t.rows[k]
	was := &before
	if !known {
		was = nil
	}
	if e.Type == metadata.EventDelete {
		delete(t.rows, k)
		if t.changed != nil && known {
			t.changed(k, was, nil)
		}
		var none V
		return t.silent == nil || !t.silent(before, none), nil
	}
	now, err := t.decode(k, e.KV)
	if err != nil {
		return true, err
	}
	t.rows[k] = now
	if t.changed != nil {
		t.changed(k, was, &now)
	}
	return t.silent == nil || !t.silent(before, now), nil
}

// copied returns the table's records. They must not be changed.
func (t *table[K, V]) copied() map[K]V { return maps.Clone(t.rows) }

// plain makes a decoder of one that needs only the value.
func plain[K comparable, V any](decode func([]byte) (V, error)) func(K, metadata.KV) (V, error) {
	return func(_ K, kv metadata.KV) (V, error) { return decode(kv.Value) }
}

// errOtherKey is the error of a parser whose kind has one key, which begins another one.
var errOtherKey = errors.New("the key of something else")

// only makes the parser of a kind that has one key.
func only(key string) func(string) (struct{}, error) {
	return func(k string) (none struct{}, err error) {
		if k != key {
			err = errOtherKey
		}
		return none, err
	}
}
