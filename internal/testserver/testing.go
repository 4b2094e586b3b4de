package testserver

import (
	"os"
	"testing"
)

// Etcd runs a real etcd until the test ends. When the test failed, the end of
// etcd's log is shown with it.
func Etcd(t testing.TB, opts EtcdOptions) *EtcdServer {
	t.Helper()
	server, err := StartEtcd(t.Context(), t.TempDir(), opts, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	endWithTest(t, server.Process)
	return server
}

// MinIO runs a real MinIO until the test ends. When the test failed, the end of
// MinIO's log is shown with it.
func MinIO(t testing.TB) *MinIOServer {
	t.Helper()
	server, err := StartMinIO(t.Context(), t.TempDir(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	endWithTest(t, server.Process)
	return server
}

func endWithTest(t testing.TB, process *Process) {
	t.Cleanup(func() {
		if err := process.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", process.name, process.Log())
		}
	})
}
