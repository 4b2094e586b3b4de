package terraform

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The README of a module lists its inputs and outputs, in the layout of terraform-docs, and no others.
func TestReadmes(t *testing.T) {
	modules, err := filepath.Glob("../../terraform/modules/*/variables.tf")
	if err != nil || len(modules) == 0 {
		t.Fatalf("%d modules, %v", len(modules), err)
	}
	for _, variables := range modules {
		dir := filepath.Dir(variables)
		readme := read(t, filepath.Join(dir, "README.md"))
		for _, kind := range []struct{ file, block, anchor string }{{"variables.tf", "variable", "input"}, {"outputs.tf", "output", "output"}} {
			want := names(read(t, filepath.Join(dir, kind.file)), `(?m)^`+kind.block+` "([^"]+)"`)
			if got := names(readme, `<a name="`+kind.anchor+`_([^"]+)">`); !slices.Equal(got, want) {
				t.Errorf("%s/README.md has %ss %v, the module has %v", dir, kind.anchor, got, want)
			}
		}
		if !strings.Contains(readme, "## Requirements") || !strings.Contains(readme, "## Resources") || !strings.Contains(readme, "## Examples") {
			t.Errorf("%s/README.md lacks a section", dir)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// names returns what a pattern's group matches, in order.
func names(text, pattern string) (all []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}
