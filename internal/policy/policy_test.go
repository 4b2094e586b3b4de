// Package policy checks the rules of the house that a compiler doesn't: who may
// import whom.
package policy

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// ranks orders the packages: one may import only packages of lower ranks. A
// package is found by its longest prefix here.
var ranks = map[string]int{
	"varve/internal":            0,
	"varve/kafka":               0,
	"varve/audit":               1,
	"varve/auth/acl":            1,
	"varve/auth/kerberos":       1,
	"varve/auth/oauth":          1,
	"varve/auth/quota":          1,
	"varve/auth/principal":      1,
	"varve/auth/sasl":           1,
	"varve/auth/token":          1,
	"varve/wal":                 1,
	"varve/wal/replica":         2,
	"varve/s3store":             1,
	"varve/metadata":            1,
	"varve/coordinator":         2,
	"varve/group":               4,
	"varve/group/classic":       3,
	"varve/group/offsets":       2,
	"varve/tiering/object":      2,
	"varve/tiering/manifest":    2,
	"varve/tiering/marker":      2,
	"varve/tiering/read":        2,
	"varve/tiering/upload":      2,
	"varve/tiering/retain":      2,
	"varve/tiering/garbage":     2,
	"varve/tiering/tiertest":    2,
	"varve/partition":           3,
	"varve/meter":               1,
	"varve/telemetry":           1,
	"varve/health":              1,
	"varve/cluster":             2,
	"varve/broker":              5,
	"varve/admin":               5,
	"varve/controller":          5,
	"varve/doctor":              5,
	"varve/ownjournal":          5,
	"varve/owner":               5,
	"varve/agent":               6,
	"varve/cmd":                 7,
	"varve/e2e":                 7,
	"varve/bench":               7,
	"varve/sim":                 7,
	"varve/internal/testserver": 0,
}

// sameRank lists the imports within one rank that are meant.
var sameRank = map[string][]string{
	"varve/auth/kerberos":    {"varve/auth/principal"},                                   // names of the clients in tickets
	"varve/metadata":         {"varve/auth/acl", "varve/auth/quota", "varve/auth/token"}, // keys of bindings, of entities, and times of tokens
	"varve/owner":            {"varve/ownjournal"},
	"varve/tiering/manifest": {"varve/tiering/object"},
	"varve/tiering/marker":   {"varve/tiering/object"},
	"varve/tiering/read":     {"varve/tiering/object", "varve/tiering/manifest"},
	"varve/tiering/upload":   {"varve/tiering/object", "varve/tiering/manifest"},
	"varve/tiering/retain":   {"varve/tiering/object", "varve/tiering/manifest"},
	"varve/tiering/garbage":  {"varve/tiering/object", "varve/tiering/manifest"},
	"varve/tiering/tiertest": {"varve/tiering/object", "varve/tiering/manifest"},
}

// fences keeps a library to the packages that hide it from the others; tests may
// use it as well.
var fences = []struct {
	library string
	why     string
	allowed []string
}{
	{"go.etcd.io/etcd", "only metadata speaks to etcd", []string{"varve/metadata"}},
	{"github.com/aws/aws-sdk-go-v2", "only s3store speaks to object stores", []string{"varve/s3store"}},
	{"github.com/minio/minio-go", "only s3store speaks to object stores", []string{"varve/s3store"}},
	{"github.com/twmb/franz-go/pkg/kmsg", "Kafka's messages stay at the edge", []string{"varve/kafka", "varve/broker", "varve/e2e", "varve/sim", "varve/internal/bench",
		"varve/cmd/varve"}}, // ACLs of users, which kadm lacks
	{"github.com/twmb/franz-go/pkg/kgo", "a Kafka client is for tools and tests", []string{"varve/cmd", "varve/e2e", "varve/internal/bench"}},
	{"github.com/go-jose/go-jose/v4", "only auth/oauth reads tokens", []string{"varve/auth/oauth"}},
	{"github.com/jcmturner", "only auth/kerberos reads tickets", []string{"varve/auth/kerberos", "varve/cmd"}},
	{"os", "files are reached through internal/vfs", []string{
		"varve/internal/vfs", "varve/internal/testserver", "varve/internal/docs", "varve/internal/golden", "varve/internal/policy/cmd",
		"varve/cmd", "varve/e2e", "varve/bench", "varve/internal/bench",
		"varve/s3store",  // the driver for a directory, and files of certificates
		"varve/metadata", // the embedded etcd's directory, and files of certificates
	}},
	{"crypto/rand", chanceOnly, []string{"varve/internal/chance"}},
	{"math/rand", chanceOnly, nil},
	{"math/rand/v2", chanceOnly, []string{
		"varve/internal/chance", "varve/internal/testserver", "varve/internal/bench", "varve/tiering/tiertest",
		"varve/internal/vfs", // what a crash keeps; the caller gives the source
		"varve/s3store",      // the pauses of a decorator that the agent is handed
	}},
	{"testing", "tests stay out of the product", []string{"varve/internal/testserver", "varve/internal/workbound", "varve/internal/golden", "varve/s3store/storetest", "varve/metadata/storetest", "varve/tiering/tiertest", "varve/e2e"}},
}

// barred lists what a package must not import although it has a lower rank; tests may.
var barred = []struct {
	packages string
	imports  []string
	why      string
}{
	{"varve/broker", []string{"varve/wal", "varve/tiering"}, "only partition knows that a log has a tail and a tier"},
}

const chanceOnly = "a simulated cluster follows from its seed, so randomness comes from agent.Deps, through internal/chance"

type listed struct {
	ImportPath string
	Imports    []string
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "varve/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// place returns the prefix under which a package is ranked.
func place(path string) (best string, rank int, ok bool) {
	for prefix, r := range ranks {
		if within(path, prefix) && len(prefix) > len(best) {
			best, rank, ok = prefix, r, true
		}
	}
	return best, rank, ok
}

func TestPackagesImportDownward(t *testing.T) {
	for _, p := range list(t) {
		from, rank, ok := place(p.ImportPath)
		if !ok {
			t.Errorf("%s has no rank", p.ImportPath)
			continue
		}
		for _, path := range p.Imports {
			to, other, ok := place(path)
			if !ok || to == from || other < rank || rank == 0 && other == 0 {
				continue
			}
			meant := false
			for _, m := range sameRank[from] {
				meant = meant || m == to
			}
			if !meant {
				t.Errorf("%s (rank %d) imports %s (rank %d)", p.ImportPath, rank, path, other)
			}
		}
	}
}

func TestLibrariesStayBehindTheirFences(t *testing.T) {
	for _, p := range list(t) {
		for _, path := range p.Imports {
			for _, f := range fences {
				hit := path == f.library || strings.Contains(f.library, ".") && within(path, f.library)
				if hit && !inAny(p.ImportPath, f.allowed) {
					t.Errorf("%s imports %s: %s", p.ImportPath, path, f.why)
				}
			}
		}
	}
}

func TestBarredImports(t *testing.T) {
	for _, p := range list(t) {
		for _, b := range barred {
			if !within(p.ImportPath, b.packages) {
				continue
			}
			for _, path := range p.Imports {
				if inAny(path, b.imports) {
					t.Errorf("%s imports %s: %s", p.ImportPath, path, b.why)
				}
			}
		}
	}
}

func inAny(path string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if within(path, prefix) {
			return true
		}
	}
	return false
}
