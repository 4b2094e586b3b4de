// Command packaging builds what is released: static binaries, their bills of materials, deb and rpm packages, container
// images and checksums, for Linux on amd64 and arm64. Two builds of a commit are the same bytes.
//
//	go run . --out ../dist
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := release{}
	flag.StringVar(&r.root, "root", "..", "the repository")
	flag.StringVar(&r.out, "out", "../dist", "where to put what is built; must not exist, or be empty")
	flag.StringVar(&r.version, "version", "", "the version, such as 1.2.3; default: that of the tag, or 0.0.0 and the commit")
	architectures := flag.String("arch", "amd64,arm64", "the architectures")
	flag.Parse()
	r.architectures = strings.Split(*architectures, ",")
	if err := r.build(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

// release is what is built.
type release struct {
	root, out     string
	version       string
	architectures []string
	commit        string
	at            time.Time // of the commit; all files have it
}

// program is a binary for one architecture.
type program struct {
	arch string
	path string
	sbom string
}

func (r *release) build(ctx context.Context) error {
	if err := r.describe(ctx); err != nil {
		return err
	}
	if old, err := os.ReadDir(r.out); err == nil && len(old) > 0 {
		return fmt.Errorf("%s is not empty", r.out)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "varve-packaging-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var programs []*program
	for _, arch := range r.architectures {
		if !slices.Contains([]string{"amd64", "arm64"}, arch) {
			return fmt.Errorf("architecture %q: want amd64 or arm64", arch)
		}
		p, err := r.compile(ctx, arch)
		if err != nil {
			return err
		}
		programs = append(programs, p)
	}
	shared, err := r.documents(ctx, work, programs)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if err := errors.Join(r.packages(p, shared), r.image(p)); err != nil {
			return err
		}
		fmt.Println("built", p.arch)
	}
	return r.checksums()
}

var numbered = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)$`)

// describe finds the version, the commit and its time.
func (r *release) describe(ctx context.Context) error {
	out, err := r.git(ctx, "log", "-1", "--format=%H %ct")
	if err != nil {
		return err
	}
	commit, at, _ := strings.Cut(out, " ")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("time of the commit: %w", err)
	}
	r.commit, r.at = commit[:12], time.Unix(seconds, 0).UTC()
	if r.version != "" {
		return nil
	}
	r.version = "0.0.0+" + r.at.Format("20060102150405") + "." + r.commit
	if tag, err := r.git(ctx, "describe", "--tags", "--exact-match"); err == nil {
		if m := numbered.FindStringSubmatch(tag); m != nil {
			r.version = m[1]
		}
	}
	return nil
}

func (r *release) git(ctx context.Context, args ...string) (string, error) {
	var failed bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", r.root}, args...)...)
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, failed.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// goBuild compiles the program for a platform.
func (r *release) goBuild(ctx context.Context, path string, env ...string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.release="+r.version+" -X main.commit="+r.commit, "-o", path, "./cmd/varve")
	cmd.Dir, cmd.Stderr = r.root, os.Stderr
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="), env...)
	return cmd.Run()
}

// compile builds a binary, and says what is in it.
func (r *release) compile(ctx context.Context, arch string) (*program, error) {
	p := &program{arch: arch, path: filepath.Join(r.out, "varve-"+r.version+"-linux-"+arch)}
	p.sbom = p.path + ".cdx.json"
	if err := r.goBuild(ctx, p.path, "GOOS=linux", "GOARCH="+arch); err != nil {
		return nil, fmt.Errorf("build for %s: %w", arch, err)
	}
	return p, r.bill(p)
}

// documents makes the manual pages and completions, which the program itself writes: one of those that are built, if this
// machine can run it.
func (r *release) documents(ctx context.Context, work string, programs []*program) (dir string, err error) {
	host := filepath.Join(work, "varve")
	if i := slices.IndexFunc(programs, func(p *program) bool { return runtime.GOOS == "linux" && p.arch == runtime.GOARCH }); i >= 0 {
		host, err = filepath.Abs(programs[i].path)
	} else {
		err = r.goBuild(ctx, host)
	}
	if err != nil {
		return "", err
	}
	dir = filepath.Join(work, "documents")
	if out, err := exec.CommandContext(ctx, host, "man", filepath.Join(dir, "man")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("manual pages: %w: %s", err, out)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		text, err := exec.CommandContext(ctx, host, "completion", shell).Output()
		if err != nil {
			return "", fmt.Errorf("completions of %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "completion."+shell), text, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// checksums writes SHA256SUMS, which 'sha256sum --check' reads.
func (r *release) checksums() error {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(r.out, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), f.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
