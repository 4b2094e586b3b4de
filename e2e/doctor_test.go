package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"varve/doctor"
)

// The doctor finds a running agent's host and dependencies in order, disturbs nothing, and
// finds what isn't in order.
func TestDoctor(t *testing.T) {
	s := newSite(t)
	s.start()
	examine := func(args ...string) (*doctor.Report, int) {
		t.Helper()
		out, code, _ := varve(append([]string{"doctor", "--json", "--config", s.config()}, args...)...)
		r := new(doctor.Report)
		if err := json.Unmarshal([]byte(out), r); err != nil {
			t.Fatalf("code %d: %s", code, out)
		}
		return r, code
	}
	before, err := filepath.Glob(s.data() + "/*")
	if err != nil {
		t.Fatal(err)
	}
	r, code := examine()
	if code != 0 || r.Level == doctor.Failure {
		t.Errorf("code %d: %+v", code, r.Findings)
	}
	text := ""
	for _, f := range r.Findings {
		text += f.Level.String() + " " + f.Check + ": " + f.Text + "\n"
	}
	for _, want := range []string{"ok bucket: it belongs to this cluster", "ok versions: this program and 1 running agent", "ok network: no other agent runs", "its sync take"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	after, err := filepath.Glob(s.data() + "/*")
	if err != nil || len(after) != len(before) {
		t.Errorf("in the data directory: %v, before %v (%v)", after, before, err)
	}
	if left, err := filepath.Glob(s.data() + "/varve-doctor-*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if _, code := examine("--etcd-prefix", "/another/"); code != 1 {
		t.Errorf("the bucket of another cluster: code %d", code)
	}
	if _, code := examine("--store-bucket", "no-such-bucket"); code != 1 {
		t.Errorf("no bucket: code %d", code)
	}
}
