package s3store

import (
	"context"
	"errors"
	"strings"
	"testing"
)

type fakeRuler struct {
	versioned, lock bool
	rules           []rule
	err             error
}

func (f fakeRuler) versioning(context.Context) (bool, error)  { return f.versioned, f.err }
func (f fakeRuler) locked(context.Context) (bool, error)      { return f.lock, f.err }
func (f fakeRuler) lifecycle(context.Context) ([]rule, error) { return f.rules, f.err }

// TestRules: what a bucket does to our objects is distinguished from what it does to others', and
// that it doesn't let us ask is no error.
func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		f            fakeRuler
		danger, cost string
		fails        bool
	}{
		"plain":               {f: fakeRuler{}},
		"versioned":           {f: fakeRuler{versioned: true}, cost: "NoncurrentVersionExpiration"},
		"versioned, cleaned":  {f: fakeRuler{versioned: true, rules: []rule{{noncurrent: true}}}},
		"cleaned elsewhere":   {f: fakeRuler{versioned: true, rules: []rule{{prefix: "other/", noncurrent: true}}}, cost: "for ever"},
		"locked":              {f: fakeRuler{versioned: true, lock: true}, cost: "object lock"},
		"all expire":          {f: fakeRuler{rules: []rule{{id: "old", live: true}}}, danger: "old"},
		"ours expire":         {f: fakeRuler{rules: []rule{{id: "x", prefix: "v/", live: true}}}, danger: "x"},
		"some of ours expire": {f: fakeRuler{rules: []rule{{id: "x", prefix: "v/data/", live: true}}}, danger: "x"},
		"others expire":       {f: fakeRuler{rules: []rule{{id: "x", prefix: "w/", live: true}}}},
		"tagged expire":       {f: fakeRuler{rules: []rule{{id: "x", tagged: true, live: true}}}},
		"may not ask":         {f: fakeRuler{err: ErrDenied}},
		"does not know":       {f: fakeRuler{err: ErrUnsupported}},
		"away":                {f: fakeRuler{err: errors.New("reset")}, fails: true},
	} {
		a := Adapt(NewMemory())
		a.ruler, a.prefix = c.f, "v/"
		r, err := ReadRules(t.Context(), a)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
		for _, x := range [][2]string{{r.Danger(), c.danger}, {r.Cost(), c.cost}} {
			if (x[0] != "") != (x[1] != "") || !strings.Contains(x[0], x[1]) {
				t.Errorf("%s: %q, want %q", name, x[0], x[1])
			}
		}
	}
}

// TestAdvice: each way in which settings are wrong has a line with what to check.
func TestAdvice(t *testing.T) {
	for err, want := range map[error]string{
		wrap(OpPut, "k", ErrDenied, errors.New("SignatureDoesNotMatch")):         "store.secret_key",
		wrap(OpPut, "k", ErrNoBucket, errors.New("NoSuchBucket")):                "store.bucket",
		errors.New("dial tcp 127.0.0.1:1: connect: connection refused"):          "store.endpoint",
		errors.New("http: server gave HTTP response to HTTPS client"):            "http://",
		errors.New("Client sent an HTTP request to an HTTPS server."):            "https://",
		errors.New("tls: failed: x509: certificate signed by unknown authority"): "store.tls.ca_file",
		errors.New("dial tcp: lookup nowhere.example: no such host"):             "DNS",
		wrap(OpPut, "k", ErrTimeout, errors.New("no answer")):                    "network",
	} {
		if got := Advice(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q", err, got)
		}
	}
	if Advice(nil) != "" || Advice(errors.New("something else")) != "" {
		t.Error("it advises without knowing")
	}
}
