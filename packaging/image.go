package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// nobody is the user of the image.
const nobody = 65532

// image writes a container image with the binary and nothing else, as 'docker load' reads it.
func (r *release) image(p *program) error {
	content, err := r.layer(p)
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	image, err = mutate.ConfigFile(image, r.imageConfig(p, config.DeepCopy()))
	if err != nil {
		return err
	}
	tag, err := name.NewTag("varve:latest", name.WeakValidation)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(r.out, "varve-"+r.version+"-linux-"+p.arch+"-image.tar"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := tarball.Write(tag, image, f); err != nil {
		return err
	}
	return f.Close()
}

// imageConfig sets up an image's configuration, which has its layers already.
func (r *release) imageConfig(p *program, c *v1.ConfigFile) *v1.ConfigFile {
	c.Architecture, c.OS, c.Created = p.arch, "linux", v1.Time{Time: r.at}
	c.History = []v1.History{{Created: v1.Time{Time: r.at}, CreatedBy: "varve/packaging"}}
	c.Config = v1.Config{
		User: "65532:65532", Entrypoint: []string{"/varve"}, Cmd: []string{"agent"}, WorkingDir: "/var/lib/varve", StopSignal: "SIGTERM",
		Env:          []string{"PATH=/", "VARVE_DATA_DIR=/var/lib/varve", "VARVE_HTTP=0.0.0.0:9644"},
		ExposedPorts: map[string]struct{}{"9092/tcp": {}, "9644/tcp": {}, "9645/tcp": {}},
		Volumes:      map[string]struct{}{"/var/lib/varve": {}},
		Healthcheck:  &v1.HealthConfig{Test: []string{"CMD", "/varve", "ready", "--timeout", "5s"}, Interval: 10 * time.Second, Timeout: 6 * time.Second, StartPeriod: 30 * time.Second, Retries: 3},
		Labels: map[string]string{"org.opencontainers.image.title": "varve", "org.opencontainers.image.version": r.version, "org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.licenses": "Apache-2.0"},
	}
	return c
}

// layer is the image's files: the binary, its bill of materials, a directory for data and one for temporary files.
func (r *release) layer(p *program) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h *tar.Header, content []byte) error {
		h.ModTime, h.Format, h.Size = r.at, tar.FormatPAX, int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	for _, d := range []struct {
		name string
		mode int64
		user int
	}{{"etc/", 0o755, 0}, {"tmp/", 0o1777, 0}, {"usr/", 0o755, 0}, {"usr/share/", 0o755, 0}, {"usr/share/doc/", 0o755, 0}, {"usr/share/doc/varve/", 0o755, 0}, {"var/", 0o755, 0}, {"var/lib/", 0o755, 0}, {"var/lib/varve/", 0o750, nobody}} {
		if err := add(&tar.Header{Typeflag: tar.TypeDir, Name: d.name, Mode: d.mode, Uid: d.user, Gid: d.user}, nil); err != nil {
			return nil, err
		}
	}
	for _, f := range []struct {
		from, to string
		mode     int64
	}{{p.path, "varve", 0o755}, {p.sbom, "usr/share/doc/varve/varve.cdx.json", 0o644}} {
		content, err := os.ReadFile(f.from)
		if err != nil {
			return nil, err
		}
		if err := add(&tar.Header{Typeflag: tar.TypeReg, Name: f.to, Mode: f.mode}, content); err != nil {
			return nil, err
		}
	}
	passwd := []byte("varve:x:65532:65532:Varve:/var/lib/varve:/\n")
	if err := add(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, passwd); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}
