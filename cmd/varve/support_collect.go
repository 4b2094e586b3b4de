package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"varve/admin"
	"varve/internal/vfs"
	"varve/wal"
)

const (
	// maxBundlePart bounds one file of a bundle.
	maxBundlePart = 64 << 20
	// partPatience bounds the gathering of one.
	partPatience = 20 * time.Second
)

// bundlePart is a file of the bundle, as its manifest lists it.
type bundlePart struct {
	File    string `json:"file"`
	Bytes   int    `json:"bytes"`
	What    string `json:"what"`
	Problem string `json:"problem,omitempty"` // why it is missing or incomplete
}

// bundle is a tar.gz that is being written. All that goes into it is redacted.
type bundle struct {
	tar   *tar.Writer
	gz    *gzip.Writer
	clean *redactor
	now   time.Time
	dir   string // in the archive
	parts []bundlePart
}

func newBundle(w io.Writer, clean *redactor, dir string, now time.Time) *bundle {
	gz := gzip.NewWriter(w)
	return &bundle{tar: tar.NewWriter(gz), gz: gz, clean: clean, dir: dir, now: now, parts: []bundlePart{}}
}

// add gathers one part. What can't be gathered is noted; the error is about the archive.
func (b *bundle) add(ctx context.Context, name, what string, gather func(ctx context.Context) ([]byte, error)) error {
	ctx, cancel := context.WithTimeout(ctx, partPatience)
	defer cancel()
	content, err := gather(ctx)
	name = string(b.clean.clean([]byte(name))) // a log's file may be named after anything
	p := bundlePart{File: name, What: what}
	if err != nil {
		p.Problem = string(b.clean.clean([]byte(err.Error())))
	}
	content = b.clean.clean(content)
	p.Bytes = len(content)
	b.parts = append(b.parts, p)
	if len(content) == 0 {
		return nil
	}
	return b.write(name, content)
}

func (b *bundle) write(name string, content []byte) error {
	err := b.tar.WriteHeader(&tar.Header{Name: b.dir + "/" + name, Mode: 0o600, Size: int64(len(content)), ModTime: b.now})
	if err == nil {
		_, err = b.tar.Write(content)
	}
	return err
}

// close writes the manifest, and ends the archive.
func (b *bundle) close() error {
	m, err := json.MarshalIndent(struct {
		Made        time.Time    `json:"made"`
		Version     buildInfo    `json:"version"`
		Parts       []bundlePart `json:"parts"`
		NotRedacted []string     `json:"secrets_too_short_to_redact,omitempty"`
	}{b.now, build(), b.parts, b.clean.short}, "", "  ")
	if err == nil {
		err = b.write("manifest.json", b.clean.clean(m))
	}
	return errors.Join(err, b.tar.Close(), b.gz.Close())
}

// jsonPart makes a part of a value.
func jsonPart(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	err = writeJSON(&buf, v)
	return buf.Bytes(), err
}

// webPage asks an agent for a page, whatever its status.
func webPage(ctx context.Context, addr, path string) ([]byte, error) {
	ctx, cancel := boundRequest(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, httpBase(addr)+path, nil)
	if err != nil {
		return nil, usagef("--http %q: %w", addr, err)
	}
	resp, err := do(req)
	if err != nil {
		return nil, webError(addr, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBundlePart))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New("the agent answers " + resp.Status)
	}
	return b, err
}

// others lists the HTTP addresses of all agents that an agent knows.
func others(ctx context.Context, addr string) map[int32]string {
	all := map[int32]string{}
	ctx, cancel := context.WithTimeout(ctx, partPatience)
	defer cancel()
	view, err := askAgent[admin.ClusterStatus](ctx, http.MethodGet, addr, "/v1/cluster")
	if err != nil {
		return all
	}
	for _, a := range view.Agents {
		if a.HTTP != "" {
			all[a.Broker] = a.HTTP
		}
	}
	return all
}

// tailOf returns whole lines of the end of a file.
func tailOf(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	from := max(0, info.Size()-limit)
	b, err := io.ReadAll(io.NewSectionReader(f, from, limit))
	if from > 0 {
		b = wholeLines(b)
	}
	return b, err
}

// wholeLines drops what may be half a line, in which half a secret would not be found.
func wholeLines(b []byte) []byte {
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return rest
}

// journald returns the end of a unit's log.
func journald(ctx context.Context, unit string, limit int64) ([]byte, error) {
	program, err := exec.LookPath("journalctl")
	if err != nil {
		return nil, errors.New("there is no journalctl here: name the files of the log with --log")
	}
	cmd := exec.CommandContext(ctx, program, "--unit", unit, "--no-pager", "--output", "short-iso-precise", "--lines", fmt.Sprint(max(1, limit/100)))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("journalctl: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	if int64(len(b)) > limit {
		b = wholeLines(b[int64(len(b))-limit:])
	}
	return b, nil
}

// journalHeads returns what the headers of the journals' files say. No records are read.
func journalHeads(dir string) ([]byte, error) {
	d := &journalDump{}
	in := d.inspector()
	in.Entry, in.End = func(*wal.Entry) {}, func(int64, error) {}
	if err := wal.InspectHeads(vfs.OS{}, dir, in); err != nil {
		return nil, err
	}
	type file struct {
		Path    string `json:"path"`
		Bytes   int64  `json:"bytes"`
		Problem string `json:"problem,omitempty"`
	}
	type journal struct {
		Journal string `json:"journal"`
		Fence   uint64 `json:"fence"`
		Sealed  bool   `json:"sealed"`
		End     uint64 `json:"end,omitempty"`
		Files   []file `json:"files"`
	}
	all := []journal{}
	for _, j := range d.journals {
		x := journal{j.Journal, j.Fence, j.Sealed, j.End, []file{}}
		for _, f := range j.Files {
			x.Files = append(x.Files, file{f.Path, f.Bytes, f.Problem})
		}
		all = append(all, x)
	}
	return jsonPart(all, nil)
}

// doctored returns the doctor's findings.
func doctored(ctx context.Context, s *supportSources) ([]byte, error) {
	return jsonPart(examine(ctx, s.flags, &s.cfg, partPatience-4*time.Second), nil)
}
