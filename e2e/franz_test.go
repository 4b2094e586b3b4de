//go:build full

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// franzSkips are those of franz-go's own tests that can't pass: transactions aren't
// built yet, and TestConsumeRegex wants Kafka's internal topic __consumer_offsets in
// the metadata, which doesn't exist here (offsets are in etcd).
const franzSkips = "^TestTxn|^TestConsumeRegex$"

// TestFranz runs the tests that franz-go's module carries against three agents.
func TestFranz(t *testing.T) {
	c := newClusterOf(t, 3, false)
	franz(t, 100, "-test.skip="+franzSkips, "KGO_SEEDS="+c.brokers(), "KGO_TEST_RF=3", "KGO_TEST_RECORDS=20000")
}

// TestFranzSecured runs those of its tests that log in.
func TestFranzSecured(t *testing.T) {
	s := newSecured(t, "")
	franz(t, 2, "-test.run=SCRAM", "KGO_SEEDS="+s.open, "KGO_TEST_SCRAM_SEEDS="+s.sasl, "KGO_TEST_SCRAM="+firstUser, "KGO_TEST_RF=1")
}

// TestFranzOverTLS runs its tests of groups over TLS, with a certificate of the client's.
func TestFranzOverTLS(t *testing.T) {
	s := newSecured(t, "")
	files := fmt.Sprintf("ca:%[1]s/ca.pem,cert:%[1]s/cert.pem,key:%[1]s/key.pem", s.dir)
	franz(t, 2, "-test.run=^TestGroupETL$|^TestGroupSimple$", "KGO_SEEDS="+s.tls, "KGO_TEST_TLS="+files, "KGO_TEST_RF=1", "KGO_TEST_RECORDS=20000")
}

// franz runs franz-go's tests, of which at least so many are to pass.
func franz(t *testing.T, atLeast int, which string, env ...string) {
	t.Helper()
	const module = "github.com/twmb/franz-go"
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "kgo.test")
	if out, err := exec.Command("go", "test", "-c", "-o", program, module+"/pkg/kgo").CombinedOutput(); err != nil {
		t.Fatalf("build franz-go's tests: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.v", "-test.timeout=4m", which)
	cmd.Dir = filepath.Join(strings.TrimSpace(string(dir)), "pkg", "kgo")
	cmd.Env = append(os.Environ(), env...)
	runTestsOf(t, "franz-go", cmd, atLeast)
}

// runTestsOf runs the tests of a client, of which at least so many are to pass and none to
// fail.
func runTestsOf(t *testing.T, client string, cmd *exec.Cmd, atLeast int) {
	t.Helper()
	from := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		failed := regexp.MustCompile(`(?m)^ *--- FAIL.*$`).FindAllString(string(out), -1)
		t.Errorf("%s's tests: %v\n%s\n%s", client, err, strings.Join(failed, "\n"), tail(string(out), 8000))
	}
	count := func(verdict string) int { return strings.Count("\n"+string(out), "\n--- "+verdict+": ") }
	t.Logf("%d passed, %d failed, %d skipped themselves, in %v", count("PASS"), count("FAIL"), count("SKIP"), time.Since(from))
	if count("PASS") < atLeast {
		t.Error("that is fewer than there are")
	}
}
