package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"varve/doctor"
)

// The settings that 'varve agent' refuses are findings beside the others, and one that
// can't be read is a usage error.
func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "varve.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("data_dir: " + dir + "\nstore: {driver: memory}\nbroker_id: 0\netcd: {endpoints: ['http://127.0.0.1:1']}\n")
	r := command(t, "", "doctor --timeout 3s --json --config "+file)
	var report doctor.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.code != exitFailed {
		t.Fatalf("exit code %d: %v: %s%s", r.code, err, r.out, r.err)
	}
	said := map[string]doctor.Level{}
	for _, f := range report.Findings {
		said[f.Check] = max(said[f.Check], f.Level)
	}
	if said["settings"] != doctor.Failure || said["etcd"] != doctor.Failure || said["files"] == doctor.Failure || report.Level != doctor.Failure {
		t.Errorf("%v", said)
	}
	text := command(t, "", "doctor --timeout 3s --config "+file)
	wants(t, text, exitFailed, "failure  settings", "broker_id is 0", "store.driver is memory", "-> check etcd.endpoints")
	if strings.Count(text.out, "failure  ") < 2 || !strings.Contains(text.out, " failures\n") {
		t.Error(text.out)
	}
	write("no_such_setting: 1\n")
	wants(t, command(t, "", "doctor --config "+file), exitUsage, "no_such_setting")
}
