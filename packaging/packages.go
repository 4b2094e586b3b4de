package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers the format
)

const (
	maintainer = "The Varve Authors <varve@localhost>"
	revision   = "1" // of packages of one version
)

// packages writes a deb and an rpm.
func (r *release) packages(p *program, documents string) error {
	for _, format := range []string{"deb", "rpm"} {
		info, err := r.info(p, format, documents)
		if err != nil {
			return err
		}
		packager, err := nfpm.Get(format)
		if err != nil {
			return err
		}
		if err := nfpm.PrepareForPackager(info, format); err != nil {
			return fmt.Errorf("%s for %s: %w", format, p.arch, err)
		}
		var out bytes.Buffer
		if err := packager.Package(info, &out); err != nil {
			return fmt.Errorf("%s for %s: %w", format, p.arch, err)
		}
		if err := os.WriteFile(filepath.Join(r.out, packager.ConventionalFileName(info)), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// info is the content of a package.
func (r *release) info(p *program, format, documents string) (*nfpm.Info, error) {
	own := filepath.Join(r.root, "packaging", "files")
	pages, err := r.compressed(documents, format)
	if err != nil {
		return nil, err
	}
	file := func(src, dst string, mode os.FileMode) *files.Content {
		return &files.Content{Source: src, Destination: dst, FileInfo: &files.ContentFileInfo{Mode: mode, MTime: r.at}}
	}
	config := file(filepath.Join(own, "varve.yaml"), "/etc/varve/varve.yaml", 0o640)
	config.Type = files.TypeConfigNoReplace
	dir := &files.Content{Destination: "/etc/varve", Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: 0o750, MTime: r.at}}
	contents := files.Contents{
		file(p.path, "/usr/bin/varve", 0o755), config, dir,
		file(filepath.Join(own, "varve.service"), "/usr/lib/systemd/system/varve.service", 0o644),
		file(filepath.Join(own, "varve.sysusers"), "/usr/lib/sysusers.d/varve.conf", 0o644),
		file(filepath.Join(documents, "completion.bash"), "/usr/share/bash-completion/completions/varve", 0o644),
		file(filepath.Join(documents, "completion.zsh"), map[string]string{"deb": "/usr/share/zsh/vendor-completions/_varve", "rpm": "/usr/share/zsh/site-functions/_varve"}[format], 0o644),
		file(filepath.Join(documents, "completion.fish"), "/usr/share/fish/vendor_completions.d/varve.fish", 0o644),
		file(p.sbom, "/usr/share/doc/varve/varve.cdx.json", 0o644),
	}
	if format == "deb" {
		contents = append(contents, file(filepath.Join(own, "copyright"), "/usr/share/doc/varve/copyright", 0o644),
			file(filepath.Join(own, "lintian-overrides"), "/usr/share/lintian/overrides/varve", 0o644))
	} else {
		contents = append(contents, file(filepath.Join(r.root, "LICENSE"), "/usr/share/licenses/varve/LICENSE", 0o644))
	}
	for _, page := range pages {
		contents = append(contents, file(page.path, page.to, 0o644))
	}
	return nfpm.WithDefaults(&nfpm.Info{
		Name: "varve", Arch: p.arch, Platform: "linux", Version: r.version, Release: revision, Section: "net", Priority: "optional", MTime: r.at, License: "Apache-2.0",
		Maintainer:  maintainer,
		Description: "broker that speaks Kafka's protocol and keeps its log in object storage\nAgents write to a replicated journal, upload to S3-compatible storage for\nunlimited retention, and keep ownership in etcd. Every Kafka client works.",
		Overridables: nfpm.Overridables{
			Depends:    map[string][]string{"deb": {"adduser | systemd-standalone-sysusers | systemd"}, "rpm": {"systemd"}}[format],
			Recommends: map[string][]string{"deb": {"ca-certificates"}, "rpm": {"ca-certificates"}}[format],
			Contents:   contents,
			Umask:      0o022,
			Scripts:    nfpm.Scripts{PostInstall: filepath.Join(own, "postinst"), PreRemove: filepath.Join(own, "prerm"), PostRemove: filepath.Join(own, "postrm")},
			RPM:        nfpm.RPM{Summary: "broker that speaks Kafka's protocol and keeps its log in object storage", Group: "System Environment/Daemons", BuildHost: "localhost"},
			Deb:        nfpm.Deb{Compression: "xz"},
		},
	}), nil
}

// page is a compressed document, and where it is installed.
type page struct{ path, to string }

// compressed compresses the manual pages and the change logs, which packages have compressed.
func (r *release) compressed(documents, format string) (out []page, err error) {
	dir := filepath.Join(documents, "compressed")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	manual, err := filepath.Glob(filepath.Join(documents, "man", "*.1"))
	if err != nil {
		return nil, err
	}
	add := func(content []byte, to string) error {
		p := page{filepath.Join(dir, filepath.Base(to)), to}
		out = append(out, p)
		return compress(content, p.path)
	}
	for _, path := range append(manual, filepath.Join(r.root, "CHANGELOG.md")) {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		to := "/usr/share/man/man1/" + filepath.Base(path) + ".gz"
		if filepath.Ext(path) == ".md" {
			to = "/usr/share/doc/varve/changelog.gz"
		}
		if err := add(content, to); err != nil {
			return nil, err
		}
	}
	if format != "deb" {
		return out, nil
	}
	entry := fmt.Sprintf("varve (%s-%s) unstable; urgency=medium\n\n  * Release %s; changelog.gz says what is new.\n\n -- %s  %s\n", r.version, revision, r.version, maintainer, r.at.Format(time.RFC1123Z))
	return out, add([]byte(entry), "/usr/share/doc/varve/changelog.Debian.gz")
}

// compress writes a file with gzip, without a time.
func compress(content []byte, to string) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(content); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(to, b.Bytes(), 0o644)
}
