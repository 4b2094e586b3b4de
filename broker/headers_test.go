package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each API has its file, named by its key, which begins with the versions that are served.
func TestFilesOfAPIs(t *testing.T) {
	for _, r := range Table() {
		files, err := filepath.Glob(fmt.Sprintf("%02d_*.go", r.Key))
		if err != nil {
			t.Fatal(err)
		}
		head := fmt.Sprintf("// %s, versions %d to %d: ", r.Name, r.Min, r.Max)
		found := 0
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(string(text), head) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d files of %v begin with %q", found, files, head)
		}
	}
}

// Kafka asks its authorizer about all requests but ApiVersions, those of SASL, two that the
// record of a delegation token decides, and those by which clients push metrics.
func TestAccessOfAPIs(t *testing.T) {
	without := []string{"ApiVersions", "SASLHandshake", "SASLAuthenticate", "RenewDelegationToken", "ExpireDelegationToken", "GetTelemetrySubscriptions", "PushTelemetry"}
	for _, r := range Table() {
		if (r.Needs == "") != slices.Contains(without, r.Name) {
			t.Errorf("%s needs %q", r.Name, r.Needs)
		}
	}
}
