//go:build full

package terraform

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"varve/internal/testserver"
)

// deployment is one state of Terraform.
type deployment struct {
	dir, state string
	vars       map[string]any
}

// patience is how long one command of Terraform may take.
const patience = 3 * time.Minute

// deploy prepares one of the examples. Its state is in a directory of its own.
func deploy(t *testing.T, f *fleet, example string, vars map[string]any) *deployment {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("../../terraform/examples", example))
	if err != nil {
		t.Fatal(err)
	}
	d := &deployment{dir: dir, state: filepath.Join(f.dir, "state of "+filepath.Base(example)), vars: vars}
	if code, out := d.terraform(t, "init", "-no-color", "-input=false"); code != 0 {
		t.Fatal(out)
	}
	return d
}

// terraform runs a command of it, and returns its exit code and what it wrote.
func (d *deployment) terraform(t *testing.T, args ...string) (int, string) {
	t.Helper()
	b, err := json.MarshalIndent(d.vars, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.state, "vars.tfvars.json"), string(b), 0o600)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "terraform", append([]string{"-chdir=" + d.dir}, args...)...)
	c.Env = append(os.Environ(), "TF_DATA_DIR="+filepath.Join(d.state, "data"), "TF_CLI_CONFIG_FILE=/dev/null", "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err = c.Run()
	if err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String()
}

// wrong returns what Terraform says is wrong, without the plan before it.
func wrong(out string) string {
	if at := strings.Index(out, "Plan: "); at >= 0 {
		return out[at:]
	}
	return out
}

func (d *deployment) with(t *testing.T, command string, args ...string) (int, string) {
	t.Helper()
	return d.terraform(t, append([]string{command, "-no-color", "-input=false", "-state=" + filepath.Join(d.state, "terraform.tfstate"), "-var-file=" + filepath.Join(d.state, "vars.tfvars.json")}, args...)...)
}

// apply applies the variables.
func (d *deployment) apply(t *testing.T, what string) {
	t.Helper()
	began := time.Now()
	if code, out := d.with(t, "apply", "-auto-approve"); code != 0 {
		t.Fatalf("%s: apply ended with %d\n%s", what, code, wrong(out))
	}
	t.Logf("%s: applied in %v", what, time.Since(began).Round(100*time.Millisecond))
}

func (d *deployment) destroy(t *testing.T) {
	t.Helper()
	if code, out := d.with(t, "destroy", "-auto-approve"); code != 0 {
		t.Fatalf("destroy ended with %d\n%s", code, wrong(out))
	}
}

// settled fails if another apply would change something.
func (d *deployment) settled(t *testing.T, after string) {
	t.Helper()
	if code, out := d.with(t, "plan", "-detailed-exitcode"); code != 0 {
		t.Errorf("after %s a plan isn't empty: exit code %d\n%s", after, code, out)
	}
}

// output returns an output of the module.
func (d *deployment) output(t *testing.T, name string) string {
	t.Helper()
	code, out := d.terraform(t, "output", "-raw", "-state="+filepath.Join(d.state, "terraform.tfstate"), name)
	if code != 0 {
		t.Fatalf("output %s: %s", name, out)
	}
	return out
}

// packed is where pack has put what it built, by version.
var packed = map[string]string{}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range packed {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// pack builds Varve's deb of a version, once for all tests, and returns it and the program.
func pack(t *testing.T, version string) (deb, binary string) {
	t.Helper()
	out, ok := packed[version]
	if !ok {
		var err error
		if out, err = os.MkdirTemp("", "varve-"); err != nil {
			t.Fatal(err)
		}
		packed[version] = out
		run(t, "go", "run", "-C", "../../packaging", ".", "--out", out, "--version", version, "--arch", "amd64")
	}
	return filepath.Join(out, "varve_"+version+"-1_amd64.deb"), filepath.Join(out, "varve-"+version+"-linux-amd64")
}

// server returns the file of a server's program.
func server(t *testing.T, name string) string {
	t.Helper()
	path, err := testserver.Build(t.Context(), name, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// oneAtATime fails if two agents were down at the same time since their first start, or if none was restarted.
func oneAtATime(t *testing.T, hosts ...*host) {
	t.Helper()
	type pause struct {
		host     string
		from, to float64 // seconds
	}
	var all []pause
	for _, h := range hosts {
		var from float64
		for line := range strings.Lines(h.sh(t, `journalctl -u varve -o short-unix --no-pager | grep -E "(Stopping|Started) varve.service"`)) {
			at, err := strconv.ParseFloat(strings.Fields(line)[0], 64)
			switch {
			case err != nil:
				t.Fatalf("%q: %v", line, err)
			case strings.Contains(line, "Stopping"):
				from = at
			case from != 0:
				all = append(all, pause{h.name, from, at})
			}
		}
	}
	slices.SortFunc(all, func(a, b pause) int { return cmp.Compare(a.from, b.from) })
	t.Logf("%d restarts", len(all))
	if len(all) < 2*len(hosts) {
		t.Errorf("restarts: %v, want two of each agent", all)
	}
	for i := 1; i < len(all); i++ {
		if all[i].from < all[i-1].to {
			t.Errorf("agent %s was stopped while %s was down: %v", all[i].host, all[i-1].host, all)
		}
	}
}

// TestCluster is the life of a cluster on hosts: made, changed, upgraded, grown, shrunk, moved, repaired and taken away, each by
// apply and under load. No acknowledged record is lost, and no client sees an error.
func TestCluster(t *testing.T) {
	f := newFleet(t)
	deb, binary := pack(t, "1.0.0")
	hosts := map[string]any{}
	machines := map[string]*host{}
	add := func(name string, last int, more map[string]any) {
		t.Helper()
		machines[name] = f.boot(t, name, last)
		h := map[string]any{"address": machines[name].address, "rack": "rack-" + name, "private_key_file": f.key, "host_key": f.hostKey}
		for k, v := range more {
			h[k] = v
		}
		hosts[name] = h
	}
	add("a", 11, map[string]any{"broker_id": 1})
	add("b", 12, map[string]any{"broker_id": 2})
	add("c", 13, map[string]any{"broker_id": 3, "user": "debian"})
	add("x", 21, map[string]any{"etcd": true, "user": "debian"})
	add("y", 22, map[string]any{"etcd": true})
	add("z", 23, map[string]any{"etcd": true, "minio": true})

	settings := map[string]any{"memory": "512MiB"}
	secrets := filepath.Join(f.dir, "secrets")
	d := deploy(t, f, "hosts", map[string]any{
		"hosts": hosts, "varve_package": map[string]any{"path": deb}, "varve_binary": binary, "etcd_binary": map[string]any{"path": server(t, testserver.EtcdName)},
		"minio_binary": map[string]any{"path": server(t, testserver.MinIOName)}, "settings": settings, "secrets_dir": secrets, "force_destroy": true, "health_timeout": "1m",
		"topics": map[string]any{"orders": map[string]any{"partitions": 6, "settings": map[string]any{"retention.ms": "604800000"}}},
	})
	d.apply(t, "a new cluster")
	d.settled(t, "the first apply")
	state, err := os.ReadFile(filepath.Join(d.state, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	user, err := os.ReadFile(filepath.Join(secrets, "first-user"))
	if err != nil {
		t.Fatal(err)
	}
	_, password, _ := strings.Cut(strings.TrimSpace(string(user)), ":")
	if password == "" || bytes.Contains(state, []byte(password)) || bytes.Contains(state, []byte("PRIVATE KEY")) {
		t.Error("a secret is in the state")
	}

	l := begin(t, d.output(t, "profile_file"), "orders")
	change := func(what string) {
		t.Helper()
		d.apply(t, what)
		d.settled(t, what)
		l.well(t, what)
	}

	settings["log.level"] = "debug"
	change("a change of a setting")
	if out := machines["b"].sh(t, "cat /etc/varve/environment"); !strings.Contains(out, "VARVE_LOG_LEVEL='debug'") {
		t.Errorf("the setting isn't there:\n%s", out)
	}

	settings["log.level"] = "loud"
	if code, out := d.with(t, "apply", "-auto-approve"); code == 0 || !strings.Contains(out, "the agent would refuse its settings; nothing was changed") {
		t.Errorf("a wrong setting was applied: %d\n%s", code, wrong(out))
	}
	l.well(t, "a wrong setting")
	settings["log.level"] = "debug"
	change("the right setting again")

	next, _ := pack(t, "1.1.0")
	d.vars["varve_package"] = map[string]any{"path": next}
	change("an upgrade")
	for _, name := range []string{"a", "b", "c"} {
		if out := machines[name].sh(t, "varve version; curl -sk https://localhost:9644/readyz || true"); !strings.HasPrefix(out, "varve 1.1.0\n") {
			t.Errorf("host %s: %s", name, out)
		}
	}

	oneAtATime(t, machines["a"], machines["b"], machines["c"])

	// The same program with another sum.
	old := read(t, server(t, testserver.EtcdName))
	other := filepath.Join(f.dir, "etcd")
	write(t, other, old+"\n", 0o755)
	d.vars["etcd_binary"] = map[string]any{"path": other}
	change("another etcd")
	if out := machines["x"].sh(t, "systemctl show --property=NRestarts,ActiveState varve-etcd; cmp /usr/local/lib/varve/etcd /proc/$(pidof etcd)/exe && tail -c 1 /proc/$(pidof etcd)/exe | od -An -c"); !strings.Contains(out, "ActiveState=active") || !strings.Contains(out, `\n`) {
		t.Errorf("the other etcd doesn't run: %s", out)
	}

	add("d", 14, map[string]any{"broker_id": 4})
	change("another agent")
	delete(hosts, "b")
	change("an agent less")
	machines["b"].bare(t)

	moved := machines["c"]
	add("c", 15, map[string]any{"broker_id": 3})
	change("another host in place of one")
	moved.bare(t)

	machines["d"].kill(t)
	delete(machines, "d")
	if code, out := d.terraform(t, "state", "rm", "-state="+filepath.Join(d.state, "terraform.tfstate"), `module.cluster.terraform_data.member["d"]`, `module.cluster.terraform_data.host["d"]`); code != 0 {
		t.Fatal(out)
	}
	add("d", 16, map[string]any{"broker_id": 4})
	change("another host in place of a dead one")

	l.check(t)
	d.destroy(t)
	for _, h := range machines {
		h.bare(t)
	}
	if left, err := os.ReadDir(secrets); !os.IsNotExist(err) {
		t.Errorf("left of the secrets: %v, %v", left, err)
	}
}

// TestOneMachine is the same with all of it on one machine. Without force_destroy, destroy leaves the data.
func TestOneMachine(t *testing.T) {
	f := newFleet(t)
	deb, binary := pack(t, "1.0.0")
	h := f.boot(t, "one", 31)
	d := deploy(t, f, "one-machine", map[string]any{"address": h.address, "user": "debian", "private_key_file": f.key, "varve_package": deb, "varve_binary": binary,
		"etcd_binary": server(t, testserver.EtcdName), "minio_binary": server(t, testserver.MinIOName), "secrets_dir": filepath.Join(f.dir, "secrets")})
	d.apply(t, "one machine")
	d.settled(t, "the first apply")
	l := begin(t, d.output(t, "profile_file"), "events")
	time.Sleep(time.Second) // of load
	l.check(t)
	d.destroy(t)
	if out := h.sh(t, "ls -d /etc/varve* /var/lib/varve* /usr/bin/varve /usr/local/lib/varve 2>/dev/null || true"); strings.TrimSpace(out) != "/var/lib/varve\n/var/lib/varve-etcd\n/var/lib/varve-minio" {
		t.Errorf("left on the host:\n%s", out)
	}
}
