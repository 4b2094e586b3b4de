package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A bundle of a running agent has the states of the cluster and none of the bucket's keys.
func TestSupportBundle(t *testing.T) {
	s := newSite(t)
	s.start()
	out := filepath.Join(s.dir, "bundle.tar.gz")
	log := filepath.Join(s.dir, "varve.log")
	if err := os.WriteFile(log, []byte(s.agent.log.String()+"\nkey="+s.minio.SecretKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code, _ := varve("support", "bundle", "--config", s.config(), "--http", s.http, "--log", log, "--doctor", "-o", out); code != 0 {
		t.Fatalf("code %d: %s", code, said)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(all, []byte(s.minio.SecretKey)) {
		t.Error("the bundle has the bucket's secret key")
	}
	for _, want := range []string{"/doctor.json", "/agents/1/metrics.txt", "key=<hidden>", "it belongs to this cluster", "# store.secret_key: <hidden>"} {
		if !strings.Contains(string(all), want) {
			t.Errorf("the bundle lacks %q", want)
		}
	}
}
