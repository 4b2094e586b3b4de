package s3store

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// overwriting ignores if-none-match, as some stores do.
type overwriting struct{ Store }

func (s overwriting) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return s.Put(ctx, key, body)
}

// being returns other bytes than were written.
type lying struct{ Store }

func (s lying) Get(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("something else")), nil
}

func TestProbeFindsWhatAStoreCant(t *testing.T) {
	failing := func(op Op, err error) Store {
		return WithFaults(NewMemory(), func(call Call) Fault {
			if call.Op == op {
				return Fault{Before: err}
			}
			return Fault{}
		})
	}
	for name, c := range map[string]struct {
		store       Store
		ifNoneMatch bool
		note        string // "" for none
	}{
		"all":               {NewMemory(), true, ""},
		"overwrites":        {overwriting{NewMemory()}, false, "overwrites objects"},
		"no if-none-match":  {failing(OpPutIfAbsent, ErrUnsupported), false, "doesn't know conditional writes"},
		"listing is denied": {failing(OpList, ErrDenied), true, "list objects"},
		"deletes denied":    {failing(OpDelete, ErrDenied), true, "delete objects"},
	} {
		store := Adapt(c.store)
		report, err := Probe(t.Context(), store, nil)
		if err != nil || report.IfNoneMatch != c.ifNoneMatch || report.NoDelete != (name == "deletes denied") {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
		if notes := strings.Join(report.Notes, "\n"); !strings.Contains(notes, c.note) || (c.note == "") != (notes == "") {
			t.Errorf("%s: notes %q", name, notes)
		}
		if store.Capabilities().IfNoneMatch != c.ifNoneMatch {
			t.Errorf("%s: the store didn't learn", name)
		}
		// Either way a second writer is refused.
		if err := store.PutIfAbsent(t.Context(), "k", strings.NewReader("1")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := store.PutIfAbsent(t.Context(), "k", strings.NewReader("2")); !errors.Is(err, ErrExists) {
			t.Errorf("%s: the second put: %v", name, err)
		}
	}
}

func TestProbeFailsForAStoreThatCantBeUsed(t *testing.T) {
	for name, store := range map[string]Store{
		"other bytes": lying{NewMemory()},
		"denied":      WithFaults(NewMemory(), func(Call) Fault { return Fault{Before: ErrDenied} }),
		"away":        WithFaults(NewMemory(), func(Call) Fault { return Fault{Before: errNet} }),
	} {
		if _, err := Probe(t.Context(), store, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
