//go:build full

package terraform

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An etcd server that waits for others, as one does that was told a wrong address, gets its new settings. systemd does
// nothing about a unit that is started while it starts.
func TestEtcdThatStartsGetsItsSettings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := strings.NewReplacer("/etc/", dir+"/etc/", "/var/lib/", dir+"/lib/", "/usr/local/lib/", dir+"/local/", "/run/systemd/system", dir)
	for _, name := range []string{"lib.sh", "etcd.sh"} {
		write("work/"+name, elsewhere.Replace(read(t, "../../terraform/modules/cluster/scripts/"+name)))
	}
	write("etc/systemd/system/README", "")
	write("bin/id", "#!/bin/sh\necho 0\n")
	// Without owners.
	write("bin/install", "#!/bin/sh\nfor a; do shift; case $a in -o|-g) skip=1;; *) [ -n \"$skip\" ] || set -- \"$@\" \"$a\"; skip='';; esac; done\nexec /usr/bin/install \"$@\"\n")
	write("bin/systemctl", "#!/bin/sh\necho \"$*\" >>"+dir+"/said\n[ $1 != is-active ] || cat "+dir+"/state\n")
	write("bin/varve", "#!/bin/sh\necho \"varve $*\" >>"+dir+"/said\n")
	run := func(state, settings string) string {
		t.Helper()
		write("state", state)
		write("said", "")
		write("work/uploaded", "etcd")
		write("work/secrets/service.key", "key")
		write("work/environment", settings)
		write("work/turn.yaml", "")
		c := exec.Command("sh", filepath.Join(dir, "work/etcd.sh"), fmt.Sprintf("%x", sha256.Sum256([]byte("etcd"))), "", "3")
		c.Env = append(os.Environ(), "PATH="+dir+"/bin:"+os.Getenv("PATH"))
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return read(t, filepath.Join(dir, "said"))
	}
	for _, c := range []struct{ state, settings, does string }{
		{"inactive", "ETCD_NAME='a'\n", "restart --no-block varve-etcd"},
		{"activating", "ETCD_NAME='a'\n", "\nstart --no-block varve-etcd"},
		{"activating", "ETCD_NAME='b'\n", "restart --no-block varve-etcd"},
		{"active", "ETCD_NAME='c'\n", "varve cluster turn --lock-only"},
	} {
		if said := run(c.state, c.settings); !strings.Contains(said, c.does) {
			t.Errorf("%s, with %q: %s", c.state, c.settings, said)
		}
	}
}
