package cluster

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"

	"varve/metadata"
)

// evens is a table of even numbers by name, whose keys begin with "n/"; "n" alone is
// another kind's.
func evens(log *[]string) *table[string, int] {
	t := newTable(func(key string) (string, error) {
		name, ok := strings.CutPrefix(key, "n/")
		switch {
		case key == "n":
			return "", errOtherKey
		case !ok:
			return "", errors.New("no name")
		}
		return name, nil
	}, func(_ string, kv metadata.KV) (int, error) {
		n, err := strconv.Atoi(string(kv.Value))
		if err == nil && n%2 != 0 {
			err = errors.New("odd")
		}
		return n, err
	})
	t.silent = func(before, now int) bool { return before == now }
	text := func(n *int) string {
		if n == nil {
			return "-"
		}
		return strconv.Itoa(*n)
	}
	t.changed = func(k string, before, now *int) { *log = append(*log, k+" "+text(before)+" "+text(now)) }
	return t
}

// What was known stays when a new value can't be read; what is derived from records hears
// of each change; readers are not woken for nothing.
func TestTable(t *testing.T) {
	var log []string
	x := evens(&log)
	for _, c := range []struct {
		key, value string // an empty value deletes
		news, bad  bool
		rows       map[string]int
		heard      string
	}{
		{"n/a", "2", true, false, map[string]int{"a": 2}, "a - 2"},
		{"n/a", "2", false, false, map[string]int{"a": 2}, "a 2 2"},
		{"n/a", "3", true, true, map[string]int{"a": 2}, ""},
		{"n/a", "4", true, false, map[string]int{"a": 4}, "a 2 4"},
		{"n", "6", false, false, map[string]int{"a": 4}, ""},
		{"m", "6", true, true, map[string]int{"a": 4}, ""},
		{"n/b", "", false, false, map[string]int{"a": 4}, ""},
		{"n/b", "8", true, false, map[string]int{"a": 4, "b": 8}, "b - 8"},
		{"n/a", "", true, false, map[string]int{"b": 8}, "a 4 -"},
	} {
		log = nil
		e := metadata.Event{Type: metadata.EventPut, KV: metadata.KV{Key: c.key, Value: []byte(c.value)}}
		if c.value == "" {
			e.Type = metadata.EventDelete
		}
		news, err := x.apply(e)
		if news != c.news || (err != nil) != c.bad || !maps.Equal(x.rows, c.rows) || strings.Join(log, ";") != c.heard {
			t.Errorf("%s = %q: news %v, err %v, rows %v, heard %q", c.key, c.value, news, err, x.rows, log)
		}
	}
	log = nil
	x.clear()
	if len(x.rows) != 0 || strings.Join(log, ";") != "b 8 -" {
		t.Errorf("cleared: %v, heard %q", x.rows, log)
	}
}
