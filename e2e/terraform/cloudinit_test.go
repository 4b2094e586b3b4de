//go:build full

package terraform

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"varve/internal/testserver"
)

// mirror serves files to the hosts, and returns what Terraform is told of each.
func mirror(t *testing.T, files ...string) []map[string]any {
	t.Helper()
	listener, err := net.Listen("tcp", gateway+":0")
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	mux := http.NewServeMux()
	for _, file := range files {
		name := "/" + filepath.Base(file)
		mux.HandleFunc("GET "+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
		sum := sha256.Sum256([]byte(read(t, file)))
		all = append(all, map[string]any{"url": "http://" + listener.Addr().String() + name, "sha256": hex.EncodeToString(sum[:])})
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return all
}

// userData applies modules/cloud-init, and returns each host's.
func userData(t *testing.T, d *deployment) map[string]string {
	t.Helper()
	d.apply(t, "user data")
	code, out := d.terraform(t, "output", "-json", "-state="+filepath.Join(d.state, "terraform.tfstate"), "user_data")
	if code != 0 {
		t.Fatal(out)
	}
	var all map[string]string
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// seed gives user data to the host's cloud-init, as the datasource NoCloud.
func seed(t *testing.T, root, name, userData string) {
	t.Helper()
	at := func(path string) string { return filepath.Join(root, path) }
	write(t, at("var/lib/cloud/seed/nocloud/user-data"), userData, 0o600)
	write(t, at("var/lib/cloud/seed/nocloud/meta-data"), "instance-id: "+name+"\nlocal-hostname: "+name+"\n", 0o644)
	// The network and SSH are those of the test.
	write(t, at("etc/cloud/cloud.cfg.d/99-test.cfg"), "datasource_list: [NoCloud]\nnetwork: {config: disabled}\nssh_deletekeys: false\ndisable_root: false\n", 0o644)
	if err := os.Remove(at(cloudInitDisabled)); err != nil {
		t.Fatal(err)
	}
}

// initialized waits for cloud-init, and fails if it did.
func (h *host) initialized(t *testing.T) {
	t.Helper()
	if out := h.sh(t, "cloud-init status --wait --long || true"); !strings.Contains(out, "status: done") {
		t.Fatalf("cloud-init on host %s:\n%s", h.name, out)
	}
}

// TestCloudInit is a cluster that hosts make of their user data alone, with TLS and users: nothing connects to them before it serves.
// When cloud-init runs again, with other user data, servers stay as they are. modules/cluster takes the hosts over without a restart.
func TestCloudInit(t *testing.T) {
	f := newFleet(t)
	deb, binary := pack(t, "1.0.0")
	etcd, minio := server(t, testserver.EtcdName), server(t, testserver.MinIOName)
	urls := mirror(t, deb, etcd, minio)
	secrets := filepath.Join(f.dir, "secrets")
	script := "../../terraform/modules/cluster/scripts/secrets.sh"
	run(t, "sh", script, "make", secrets, binary, "admin")

	given, over := map[string]any{}, map[string]any{}
	names := []string{"a", "b", "c"}
	addresses := map[string]string{"a": "10.77.0.41", "b": "10.77.0.42", "c": "10.77.0.43"}
	for i, name := range names {
		run(t, "sh", script, "host", secrets, binary, name, addresses[name]+",localhost,127.0.0.1")
		given[name] = map[string]any{"internal": addresses[name], "rack": "rack-" + name, "broker_id": i + 1, "etcd": true, "minio": name == "c"}
		over[name] = map[string]any{"address": addresses[name], "rack": "rack-" + name, "broker_id": i + 1, "etcd": true, "minio": name == "c", "private_key_file": f.key, "host_key": f.hostKey, "user": "debian"}
	}
	settings := map[string]any{"memory": "512MiB"}
	d := deploy(t, f, "../modules/cloud-init", map[string]any{
		"hosts": given, "secrets_dir": secrets, "varve_package": urls[0], "etcd_binary": urls[1], "minio_binary": urls[2], "settings": settings, "health_timeout": "2m",
		"topics": map[string]any{"orders": map[string]any{"partitions": 6}}, "ssh_authorized_keys": []string{strings.TrimSpace(read(t, f.key+".pub"))},
	})
	data := userData(t, d)
	machines := map[string]*host{}
	for i, name := range names {
		machines[name] = f.bootWith(t, name, 41+i, func(root string) { seed(t, root, name, data[name]) })
	}
	for _, name := range names {
		machines[name].initialized(t)
	}
	run(t, "sh", script, "client", secrets, "admin", addresses["a"]+":9092,"+addresses["b"]+":9092", "https://"+addresses["a"]+":9644")
	l := begin(t, filepath.Join(secrets, "profile.yaml"), "orders")
	if out := machines["a"].sh(t, "find /var/lib/varve-init -name '*key*' -o -name first-user"); out != "" {
		t.Errorf("secrets are left where user data put them:\n%s", out)
	}

	settings["log.level"] = "debug"
	data = userData(t, d)
	b := machines["b"]
	const files = "find /etc/varve /etc/varve-etcd -type f | sort | xargs stat -c '%n %Y %a %U' /usr/bin/varve"
	before := b.sh(t, files)
	write(t, filepath.Join(b.root, "var/lib/cloud/seed/nocloud/user-data"), data["b"], 0o600)
	b.sh(t, "cloud-init clean")
	b.reboot(t)
	b.initialized(t)
	if out := b.sh(t, "grep -c LOG_LEVEL /var/lib/varve-init/agent/environment; VARVE_PROFILE=/etc/varve/profile.yaml varve cluster health --wait --timeout 1m >/dev/null"); strings.TrimSpace(out) != "1" {
		t.Errorf("cloud-init didn't run again: %s", out)
	}
	if after := b.sh(t, files); after != before {
		t.Errorf("files of the servers, after cloud-init has run again:\n%s\nbefore:\n%s", after, before)
	}
	l.well(t, "a second run of cloud-init")

	delete(settings, "log.level")
	took := deploy(t, f, "hosts", map[string]any{
		"hosts": over, "varve_package": map[string]any{"path": deb}, "varve_binary": binary, "etcd_binary": map[string]any{"path": etcd}, "minio_binary": map[string]any{"path": minio},
		"settings": settings, "secrets_dir": secrets, "force_destroy": true, "health_timeout": "1m", "topics": map[string]any{"orders": map[string]any{"partitions": 6}},
	})
	const started = "systemctl show --property=MainPID,ActiveEnterTimestampMonotonic varve varve-etcd varve-minio"
	pids := map[string]string{}
	for name, h := range machines {
		pids[name] = h.sh(t, started)
	}
	took.apply(t, "hosts that made a cluster by themselves")
	took.settled(t, "the first apply")
	for name, h := range machines {
		if out := h.sh(t, started); out != pids[name] {
			t.Errorf("host %s: a server was restarted:\n%s\nbefore:\n%s", name, out, pids[name])
		}
	}
	l.check(t)
	took.destroy(t)
	for _, h := range machines {
		h.bare(t)
	}
}

// TestDisk: only a blank disk is formatted, and a disk with data is mounted as it is, or left alone.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	scripts := filepath.Join(dir, "scripts")
	paths := strings.NewReplacer("/run/systemd/system", dir, "/etc/", dir+"/etc/", "/var/lib/$unit", dir+"/data/$unit")
	for _, file := range []string{"cloud-init/scripts/disk.sh", "cluster/scripts/lib.sh"} {
		write(t, filepath.Join(scripts, filepath.Base(file)), paths.Replace(read(t, "../../terraform/modules/"+file)), 0o755)
	}
	write(t, filepath.Join(dir, "bin/systemctl"), "#!/bin/sh\n", 0o755)
	fstab := filepath.Join(dir, "etc/fstab")
	write(t, fstab, "", 0o644)
	mounted := filepath.Join(dir, "data/varve")
	disk := func(pattern string) (string, error) {
		c := exec.Command("sh", filepath.Join(scripts, "disk.sh"), pattern, "varve")
		c.Env = append(os.Environ(), "PATH="+dir+"/bin:"+os.Getenv("PATH"), "LIBMOUNT_FSTAB="+fstab, "PATIENCE=0")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	loop := func(name string) (image, device string) {
		t.Helper()
		image = filepath.Join(dir, name)
		f, err := os.Create(image)
		if err == nil {
			err = f.Truncate(64 << 20)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		device = strings.TrimSpace(run(t, "losetup", "--find", "--show", "--partscan", image))
		t.Cleanup(func() { _ = exec.Command("losetup", "--detach", device).Run() })
		return image, device
	}
	unmount := func() { _ = exec.Command("umount", mounted).Run() }
	t.Cleanup(unmount)

	image, device := loop("blank")
	if err := os.Symlink(device, filepath.Join(dir, "disk-vol1")); err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(dir, "disk-*vol1*")
	for _, time := range []string{"first", "second", "after a restart"} {
		if out, err := disk(pattern); err != nil {
			t.Fatalf("%s: %v\n%s", time, err, out)
		}
		switch record := filepath.Join(mounted, "record"); time {
		case "first":
			write(t, record, "data", 0o600)
		case "second":
			if strings.Count(read(t, fstab), "\n") != 1 || !strings.Contains(read(t, fstab), mounted+" ext4 noatime,nofail 0 2\n") {
				t.Errorf("fstab:\n%s", read(t, fstab))
			}
			if got := read(t, filepath.Join(dir, "etc/systemd/system/varve.service.d/disk.conf")); got != "[Unit]\nRequiresMountsFor="+mounted+"\n" {
				t.Errorf("the unit doesn't wait for the disk: %q", got)
			}
			unmount()
			if err := os.Truncate(fstab, 0); err != nil { // a new machine with the old disk
				t.Fatal(err)
			}
		default:
			if read(t, record) != "data" {
				t.Error("the disk was formatted though it has data")
			}
		}
	}
	unmount()
	run(t, "losetup", "--detach", device)
	if err := os.Remove(image); err != nil {
		t.Fatal(err)
	}

	for _, x := range []struct {
		name, want string
		fill       func(device string)
	}{
		{"bytes of nobody knows what", "neither blank", func(device string) { run(t, "sh", "-c", "printf x | dd of="+device+" bs=1 seek=1000000 2>&1") }},
		{"swap", "neither blank", func(device string) { run(t, "mkswap", device) }},
		{"a table of partitions", "neither blank", func(device string) { run(t, "sh", "-c", `printf '\125\252' | dd of=`+device+" bs=1 seek=510 2>&1") }},
		{"files in the way", "would hide", func(string) { write(t, filepath.Join(mounted, "file"), "", 0o600) }},
		{"a device without a disk", "neither blank", func(device string) { run(t, "losetup", "--detach", device) }},
	} {
		image, device := loop("other")
		x.fill(device)
		run(t, "sync")
		before := sha256.Sum256([]byte(read(t, image)))
		out, err := disk(device)
		run(t, "sync")
		if err == nil || !strings.Contains(out, x.want) || sha256.Sum256([]byte(read(t, image))) != before {
			t.Errorf("%s: %v, changed %v\n%s", x.name, err, sha256.Sum256([]byte(read(t, image))) != before, out)
		}
		_ = exec.Command("losetup", "--detach", device).Run()
		_ = os.Remove(filepath.Join(mounted, "file"))
		_ = os.Remove(image)
	}

	if out, err := disk(filepath.Join(dir, "nothing-*")); err == nil || !strings.Contains(out, "no disk is") {
		t.Errorf("no disk: %v\n%s", err, out)
	}
	_, one := loop("one")
	_, other := loop("other")
	for i, device := range []string{one, other} {
		if err := os.Symlink(device, filepath.Join(dir, "twice-"+string(rune('1'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := disk(filepath.Join(dir, "twice-*")); err == nil || !strings.Contains(out, "match") {
		t.Errorf("two disks: %v\n%s", err, out)
	}
}
