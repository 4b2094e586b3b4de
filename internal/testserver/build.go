package testserver

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// packages maps the folder below e2e/servers to the main package that it pins.
var packages = map[string]string{
	"etcd":  "go.etcd.io/etcd/server/v3",
	"minio": "github.com/minio/minio",
}

// Names of the servers that Build knows.
const (
	EtcdName  = "etcd"
	MinIOName = "minio"
)

// Build returns the path of a server's static binary and builds it first where
// the cache lacks it, with lines about it on progress. Any number of processes
// may call it at once; one builds, the others wait.
//
// The cache is $VARVE_TEST_CACHE, by default varve/servers in the user's cache
// directory. Its entries are named by what went into them.
func Build(ctx context.Context, name string, progress io.Writer) (string, error) {
	source, err := sourceDir(name)
	if err != nil {
		return "", err
	}
	dir, err := cacheDir(name, source)
	if err != nil {
		return "", err
	}
	return once(ctx, filepath.Join(dir, name), name, progress, func(binary string) error { return compile(ctx, name, source, binary, progress) })
}

// once returns a binary of the cache, and builds it first where it isn't there yet. Only one process
// builds it.
func once(ctx context.Context, binary, name string, progress io.Writer, build func(binary string) error) (string, error) {
	if isFile(binary) {
		return binary, nil
	}
	dir := filepath.Dir(binary)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache of test servers: %w", err)
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, "lock"), func() {
		fmt.Fprintf(progress, "testserver: another process builds %s; waiting for it\n", name)
	})
	if err != nil {
		return "", fmt.Errorf("lock the cache of %s: %w", name, err)
	}
	defer unlock()
	if isFile(binary) {
		return binary, nil
	}
	if err := build(binary); err != nil {
		return "", err
	}
	return binary, nil
}

// compile builds into a temporary name first, so that a binary in the cache is
// always whole.
func compile(ctx context.Context, name, source, binary string, progress io.Writer) error {
	fmt.Fprintf(progress, "testserver: building %s into %s (minutes, the first time)\n", name, binary)
	began := time.Now()
	partial := binary + ".partial"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", partial, packages[name])
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", name, source, err, out)
	}
	if err := os.Rename(partial, binary); err != nil {
		return fmt.Errorf("keep the binary of %s: %w", name, err)
	}
	fmt.Fprintf(progress, "testserver: built %s in %s\n", name, time.Since(began).Round(time.Second))
	return nil
}

// sourceDir finds e2e/servers/<name> from the working directory upwards: tests
// run in their package's folder.
func sourceDir(name string) (string, error) {
	if packages[name] == "" {
		return "", fmt.Errorf("no test server is named %q", name)
	}
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		source := filepath.Join(dir, "e2e", "servers", name)
		if isFile(filepath.Join(source, "go.mod")) {
			return source, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no e2e/servers/%s in %s or above it", name, start)
		}
	}
}

// cacheDir names the place of a server's binary by all that decides its bytes.
func cacheDir(name, source string) (string, error) {
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, packages[name], runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, file := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(source, file))
		if err != nil {
			return "", err
		}
		sum.Write(data)
	}
	return filepath.Join(root, fmt.Sprintf("%s-%x", name, sum.Sum(nil)[:8])), nil
}

// cacheRoot is the directory of the cache.
func cacheRoot() (string, error) {
	root := os.Getenv("VARVE_TEST_CACHE")
	if root == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a cache directory (set VARVE_TEST_CACHE): %w", err)
		}
		root = filepath.Join(user, "varve", "servers")
	}
	return filepath.Abs(root)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
