//go:build full

package terraform

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Network of the hosts, and the bridge that they are on.
const (
	bridge  = "varve-tf"
	gateway = "10.77.0.1"
)

// debianPackages are what a host has, beside what Debian always has.
const debianPackages = "systemd,systemd-sysv,dbus,openssh-server,iproute2,ca-certificates,sudo,curl,cloud-init,python3-cffi-backend"

// cloudInitDisabled is the file that keeps cloud-init from running, on hosts that aren't made by user data.
const cloudInitDisabled = "etc/cloud/cloud-init.disabled"

// fleet is hosts on one network.
type fleet struct {
	dir     string // of this test
	debian  string // the root file system that all hosts have below their own
	key     string // file of the SSH key
	hostKey string // all hosts have the same
}

// run runs a command that has to end well, and returns what it wrote.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// newFleet makes the network, and the root file system if it isn't there from before.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root, for containers and their network")
	}
	for _, tool := range []string{"debootstrap", "systemd-nspawn", "ssh-keygen", "ip", "terraform"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing (Debian's packages debootstrap, systemd-container, openssh-client, iproute2; and Terraform)", tool)
		}
	}
	f := &fleet{dir: t.TempDir(), debian: debian(t)}
	f.key = filepath.Join(f.dir, "key")
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f.key)
	b, err := os.ReadFile(filepath.Join(f.debian, "etc/ssh/ssh_host_ecdsa_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	f.hostKey = strings.TrimSpace(string(b))
	_ = exec.Command("ip", "link", "del", bridge).Run() // of a test that was killed
	run(t, "ip", "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { run(t, "ip", "link", "del", bridge) })
	run(t, "ip", "addr", "add", gateway+"/24", "dev", bridge)
	run(t, "ip", "link", "set", bridge, "up")
	if _, err := exec.LookPath("iptables"); err == nil { // Docker has what crosses bridges dropped
		rule := []string{"FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"}
		run(t, "iptables", append([]string{"-I"}, rule...)...)
		t.Cleanup(func() { run(t, "iptables", append([]string{"-D"}, rule...)...) })
	}
	return f
}

// debian makes a Debian with systemd and sshd once, and returns where it is.
func debian(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(cache, "varve", "debian-systemd-2")
	root := filepath.Join(home, "root")
	if _, err := os.Stat(root); err == nil {
		return root
	}
	t.Log("making a Debian in", root)
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	part := root + ".part"
	run(t, "rm", "-rf", part)
	run(t, "debootstrap", "--variant=minbase", "--include="+debianPackages, "stable", part)
	write(t, filepath.Join(part, cloudInitDisabled), "", 0o644)
	run(t, "mv", part, root)
	return root
}

// host is a container that is like a machine: systemd, sshd, an address.
type host struct {
	name, address, root string
	fleet               *fleet
	process             *exec.Cmd
	ended               chan struct{} // closed when the process has
	console             *bytes.Buffer
}

// boot starts a host, and returns when its sshd answers. It ends with the test, or by kill.
func (f *fleet) boot(t *testing.T, name string, last int) *host {
	t.Helper()
	return f.bootWith(t, name, last, func(string) {})
}

// bootWith does the same after prepare has written into the host's root file system.
func (f *fleet) bootWith(t *testing.T, name string, last int, prepare func(root string)) *host {
	t.Helper()
	h := &host{name: name, address: fmt.Sprintf("10.77.0.%d", last), fleet: f, console: &bytes.Buffer{}}
	own := filepath.Join(f.dir, h.address)
	h.root = filepath.Join(own, "root")
	upper, work := filepath.Join(own, "upper"), filepath.Join(own, "work")
	for _, dir := range []string{h.root, upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "mount", "-t", "overlay", "overlay", "-o", "lowerdir="+f.debian+",upperdir="+upper+",workdir="+work, h.root)
	t.Cleanup(func() { run(t, "umount", h.root) })
	public, err := os.ReadFile(f.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	at := func(path string) string { return filepath.Join(h.root, path) }
	write(t, at("etc/hostname"), name+"\n", 0o644)
	write(t, at("etc/machine-id"), "", 0o444)
	write(t, at("etc/systemd/network/10-host.network"), "[Match]\nName=host0\n[Network]\nLinkLocalAddressing=no\nAddress="+h.address+"/24\n", 0o644)
	write(t, at("root/.ssh/authorized_keys"), string(public), 0o600)
	// A user as on images of clouds.
	run(t, "chroot", h.root, "useradd", "--create-home", "debian")
	write(t, at("home/debian/.ssh/authorized_keys"), string(public), 0o600)
	run(t, "chroot", h.root, "chown", "-R", "debian:debian", "/home/debian/.ssh")
	write(t, at("etc/sudoers.d/debian"), "debian ALL=(ALL) NOPASSWD:ALL\n", 0o440)
	run(t, "systemctl", "--root="+h.root, "--quiet", "enable", "systemd-networkd")
	prepare(h.root)

	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("journalctl", "--no-pager", "-n", "40", "--root="+h.root, "-u", "varve", "-u", "varve-etcd", "-u", "varve-minio").CombinedOutput()
			t.Logf("host %s:\n%s", h.name, out)
			if out, err := os.ReadFile(at("var/log/cloud-init-output.log")); err == nil {
				t.Logf("host %s, cloud-init:\n%s", h.name, out)
			}
		}
	})
	h.start(t)
	t.Cleanup(func() {
		h.kill(t)
		<-h.ended
	})
	return h
}

// start starts the host's first process, and returns when its sshd answers.
func (h *host) start(t *testing.T) {
	t.Helper()
	h.process = exec.Command("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--directory="+h.root,
		"--machine=vt-"+h.name+h.address[strings.LastIndexByte(h.address, '.')+1:], "--network-bridge="+bridge, "--link-journal=no")
	h.process.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1") // newer systemd doesn't boot with the older one
	h.process.Stdout, h.process.Stderr = h.console, h.console
	h.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := h.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, ended := h.process, make(chan struct{})
	h.ended = ended
	go func() { defer close(ended); _ = process.Wait() }()
	for late := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", h.address+":22", time.Second)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("host %s ended:\n%s", h.name, h.console)
		default:
		}
		if time.Now().After(late) {
			t.Fatalf("host %s has no sshd: %v", h.name, err)
		}
	}
}

// reboot stops the host in order, and starts it again.
func (h *host) reboot(t *testing.T) {
	t.Helper()
	h.sh(t, "systemctl poweroff --no-block")
	select {
	case <-h.ended:
	case <-time.After(time.Minute):
		t.Fatalf("host %s doesn't stop:\n%s", h.name, h.console)
	}
	h.start(t)
}

// kill ends all processes of the host at once, as a cut of its power does.
func (h *host) kill(t *testing.T) {
	t.Helper()
	pid := h.process.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return // it has ended
	}
	for _, child := range strings.Fields(string(children)) {
		n, err := strconv.Atoi(child)
		if err == nil {
			err = syscall.Kill(n, syscall.SIGKILL) // the first process of a container takes the others with it
		}
		if err != nil {
			t.Errorf("end host %s: %v", h.name, err)
		}
	}
}

// sh runs a command on the host, and returns what it wrote.
func (h *host) sh(t *testing.T, command string) string {
	t.Helper()
	return run(t, "ssh", "-q", "-i", h.fleet.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@"+h.address, command)
}

// bare fails if something of a cluster is left on the host.
func (h *host) bare(t *testing.T) {
	t.Helper()
	out := h.sh(t, `ls -d /etc/varve* /var/lib/varve* /usr/local/lib/varve /usr/bin/varve /etc/systemd/system/varve* /root/.varve-terraform /home/*/.varve-terraform 2>/dev/null
		getent passwd | grep varve; systemctl --failed --no-legend; ps -eo comm= | grep -E 'etcd|minio|varve' || true`)
	if strings.TrimSpace(out) != "" {
		t.Errorf("left on %s:\n%s", h.name, out)
	}
}
