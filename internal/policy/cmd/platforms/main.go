// Command platforms type-checks packages for other platforms than this one. Each argument
// is a platform and what to check for it:
//
//	platforms 'darwin/arm64 ./... -./e2e' 'windows/amd64 deps:./cmd/varve'
//
// A pattern selects packages with their tests, or leaves them out after a minus sign. After
// "deps:" it selects those of the module that the packages are built from, without tests; the
// other patterns of that argument then have none either. It reads sources only, and so
// takes seconds where a cold build of all dependencies takes minutes; it finds whatever
// doesn't compile, but not what the linker or vet would.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	failed := false
	for _, arg := range os.Args[1:] {
		if err := check(arg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
		}
	}
	if failed || len(os.Args) == 1 {
		os.Exit(1)
	}
}

// check prints what is wrong with the packages of one argument.
func check(arg string) error {
	fields := strings.Fields(arg)
	if len(fields) < 2 {
		return fmt.Errorf("%q is not a platform and patterns of packages", arg)
	}
	platform := fields[0]
	system, processor, ok := strings.Cut(platform, "/")
	if !ok {
		return fmt.Errorf("%q is not a system and a processor", platform)
	}
	env := append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0")
	selected, tests := map[string]bool{}, true
	for _, pattern := range fields[1:] {
		pattern, without := strings.CutPrefix(pattern, "-")
		pattern, deps := strings.CutPrefix(pattern, "deps:")
		tests = tests && !deps
		names, err := list(env, pattern, deps)
		if err != nil {
			return err
		}
		for _, name := range names {
			selected[name] = !without
		}
	}
	var roots []string
	for name, ok := range selected {
		if ok {
			roots = append(roots, name)
		}
	}
	if len(roots) == 0 {
		return fmt.Errorf("%s: no packages", arg)
	}
	// With the types of dependencies and no export data they are read from source, but for
	// the bodies of their functions.
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo,
		Env:   env,
		Tests: tests,
	}, roots...)
	if err != nil {
		return err
	}
	if n := packages.PrintErrors(loaded); n > 0 {
		return fmt.Errorf("%s: %d errors", platform, n)
	}
	return nil
}

// list returns the import paths of the packages that match a pattern, with those of the same
// module that they import if deps is set.
func list(env []string, pattern string, deps bool) ([]string, error) {
	mode := packages.NeedName | packages.NeedModule
	if deps {
		mode |= packages.NeedImports | packages.NeedDeps
	}
	found, err := packages.Load(&packages.Config{Mode: mode, Env: env}, pattern)
	if err != nil {
		return nil, err
	}
	if n := packages.PrintErrors(found); n > 0 {
		return nil, fmt.Errorf("%s: %d errors", pattern, n)
	}
	var names []string
	packages.Visit(found, func(p *packages.Package) bool {
		if p.Module == nil || !p.Module.Main {
			return false
		}
		names = append(names, p.PkgPath)
		return true
	}, nil)
	return names, nil
}
