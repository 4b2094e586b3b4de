package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// No type gathers everything: at most mostMethods, and at most mostFields in a type that
// does something, which has more than fewMethods.
const (
	mostMethods = 40
	mostFields  = 20
	fewMethods  = 10
)

type size struct{ methods, fields int }

// tooLarge has the types that are larger, and how large they are. They may only shrink; then
// their line does, too.
var tooLarge = map[string]size{
	"agent.Config": {fields: 25}, // a field for each group of settings
}

func TestTypesStaySmall(t *testing.T) {
	over := map[string]size{}
	for name, s := range sizes(t, "../..") {
		o := size{}
		if s.methods > mostMethods {
			o.methods = s.methods
		}
		if s.methods > fewMethods && s.fields > mostFields {
			o.fields = s.fields
		}
		if o != (size{}) {
			over[name] = o
		}
	}
	for _, name := range slices.Sorted(maps.Keys(over)) {
		if over[name] != tooLarge[name] {
			t.Errorf("%s is %+v, tooLarge has %+v: at most %d methods and %d fields are allowed", name, over[name], tooLarge[name], mostMethods, mostFields)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tooLarge)) {
		if _, ok := over[name]; !ok {
			t.Errorf("%s isn't too large any more: take it out of tooLarge", name)
		}
	}
}

// sizes counts the methods of types, and the fields of structs, in the product's code.
func sizes(t *testing.T, root string) map[string]size {
	t.Helper()
	all := map[string]size{}
	add := func(name string, methods, fields int) {
		s := all[name]
		all[name] = size{s.methods + methods, s.fields + fields}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					add(filepath.ToSlash(dir)+"."+receiver(d.Recv.List[0].Type), 1, 0)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok {
						if st, ok := ts.Type.(*ast.StructType); ok {
							add(filepath.ToSlash(dir)+"."+ts.Name.Name, 0, fields(st))
						}
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("%d types found: this tests nothing", len(all))
	}
	return all
}

// receiver returns the name of a method's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

// fields counts a struct's fields; those of a struct in it, such as mu, count as its own.
func fields(st *ast.StructType) int {
	n := 0
	for _, f := range st.Fields.List {
		if inner, ok := f.Type.(*ast.StructType); ok {
			n += fields(inner)
			continue
		}
		n += max(1, len(f.Names))
	}
	return n
}
