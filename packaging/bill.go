package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// bill writes what a binary is made of, by what the compiler noted in it: a software bill of materials (CycloneDX).
func (r *release) bill(p *program) error {
	info, err := buildinfo.ReadFile(p.path)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(p.path)
	if err != nil {
		return err
	}
	main := cyclonedx.Component{BOMRef: "varve", Type: cyclonedx.ComponentTypeApplication, Name: "varve", Version: r.version,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sha256.Sum256(content))}}}
	components := []cyclonedx.Component{{BOMRef: "go", Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: info.GoVersion, PackageURL: "pkg:golang/std@" + info.GoVersion[len("go"):]}}
	needs := []string{"go"}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		ref := "pkg:golang/" + d.Path + "@" + d.Version
		components = append(components, cyclonedx.Component{BOMRef: ref, Type: cyclonedx.ComponentTypeLibrary, Name: d.Path, Version: d.Version, PackageURL: ref})
		needs = append(needs, ref)
	}
	b := cyclonedx.NewBOM()
	b.Metadata = &cyclonedx.Metadata{Timestamp: r.at.Format(time.RFC3339), Component: &main}
	b.Components = &components
	b.Dependencies = &[]cyclonedx.Dependency{{Ref: "varve", Dependencies: &needs}}
	f, err := os.Create(filepath.Clean(p.sbom))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := cyclonedx.NewBOMEncoder(f, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(b); err != nil {
		return err
	}
	return f.Close()
}
