package testserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Previous returns the path of varve as it was at a revision of this repository, such as the tag of the
// release before. It builds it first where the cache lacks it, as Build does.
func Previous(ctx context.Context, revision string, progress io.Writer) (string, error) {
	commit, err := git(ctx, "rev-parse", "--verify", "--quiet", revision+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("the repository lacks revision %s (in a shallow clone: git fetch --unshallow): %w", revision, err)
	}
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "releases", fmt.Sprintf("%.12s-%s-%s", commit, runtime.Version(), runtime.GOARCH))
	return once(ctx, filepath.Join(dir, "varve"), revision, progress, func(binary string) error { return compileRevision(ctx, commit, binary, progress) })
}

func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	return strings.TrimSpace(string(out)), err
}

// compileRevision builds varve from the files of a commit.
func compileRevision(ctx context.Context, commit, binary string, progress io.Writer) error {
	began := time.Now()
	fmt.Fprintf(progress, "testserver: building varve at %.12s into %s\n", commit, binary)
	top, err := git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	source, err := os.MkdirTemp("", "varve-previous-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	archive := filepath.Join(source, "source.tar")
	partial := binary + ".partial"
	for _, c := range []*exec.Cmd{
		exec.CommandContext(ctx, "git", "-C", top, "archive", "--format=tar", "-o", archive, commit),
		exec.CommandContext(ctx, "tar", "-x", "-C", source, "-f", archive),
		exec.CommandContext(ctx, "go", "build", "-C", source, "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X main.commit="+commit[:12], "-o", partial, "./cmd/varve"),
	} {
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("build varve at %s: %s: %w\n%s", commit, filepath.Base(c.Path), err, out)
		}
	}
	if err := os.Rename(partial, binary); err != nil {
		return fmt.Errorf("keep the binary of %s: %w", commit, err)
	}
	fmt.Fprintf(progress, "testserver: built varve at %.12s in %s\n", commit, time.Since(began).Round(time.Second))
	return nil
}
