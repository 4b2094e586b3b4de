package settings

import (
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// tree makes a file's YAML what the library can decode: keys with dots become nested
// ones, sizes lose their units. It notes unknown keys and bad sizes, with their lines.
type tree struct {
	errs []mistake
	seen map[*yaml.Node]bool
}

// mistake is what is wrong in a line.
type mistake struct {
	line int
	text string
}

func (t *tree) bad(line int, format string, args ...any) {
	t.errs = append(t.errs, mistake{line, fmt.Sprintf(format, args...)})
}

// walk goes through a value that is meant for a type.
func (t *tree) walk(n *yaml.Node, to reflect.Type, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || t.seen[n] {
		return
	}
	t.seen[n] = true
	switch {
	case n.Kind == yaml.MappingNode && to.Kind() == reflect.Struct:
		t.nest(n, path)
		t.keys(n, to, path)
	case n.Kind == yaml.SequenceNode && to.Kind() == reflect.Slice:
		for i, c := range n.Content {
			t.walk(c, to.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	case n.Kind == yaml.ScalarNode && isSize(path[strings.LastIndexByte(path, '.')+1:]):
		text, err := withoutUnit(n.Value)
		if err != nil {
			t.bad(n.Line, "%s is %s", path, err)
			n.Value, n.Tag, n.Style = "null", "!!null", 0 // said; the setting stays as it was
			return
		}
		if text != n.Value {
			n.Value, n.Tag, n.Style = text, "!!int", 0
		}
	}
}

// keys looks at the keys of a mapping for a struct.
func (t *tree) keys(n *yaml.Node, to reflect.Type, path string) {
	known := fieldsOf(to)
	content := n.Content
	n.Content = nil
	for i := 0; i+1 < len(content); i += 2 {
		key, value := content[i], content[i+1]
		at := under(path, key.Value)
		field, ok := known[key.Value]
		if !ok && key.Value != "<<" {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			meant := Near(key.Value, names)
			if meant != "" {
				meant = "; did you mean " + under(path, meant) + "?"
			}
			t.bad(key.Line, "unknown key %q%s", at, meant)
			continue
		}
		n.Content = append(n.Content, key, value)
		if ok {
			t.walk(value, field, at)
		}
	}
}

// nest makes keys with dots nested ones, together with those that are already.
func (t *tree) nest(n *yaml.Node, path string) {
	content := n.Content
	n.Content = nil
	for i := 0; i+1 < len(content); i += 2 {
		key, value := content[i], content[i+1]
		first, rest, dotted := strings.Cut(key.Value, ".")
		if !dotted || key.Kind != yaml.ScalarNode {
			n.Content = append(n.Content, key, value)
			continue
		}
		inner := child(n, first)
		if inner == nil {
			inner = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: key.Line}
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: first, Line: key.Line}, inner)
		}
		if inner.Kind != yaml.MappingNode {
			t.bad(key.Line, "%s is given beside %s, which is not a map", under(path, key.Value), under(path, first))
			continue
		}
		inner.Content = append(inner.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: rest, Line: key.Line}, value)
	}
}

// child is the value of a key, if it is there.
func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fieldsOf lists the fields of a struct, those of inlined ones too, by their keys.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case opts == "inline":
			for k, v := range fieldsOf(f.Type) {
				out[k] = v
			}
		case name != "" && name != "-":
			out[name] = f.Type
		}
	}
	return out
}
