package settings

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// place is where a value stands in a file.
type place struct {
	line  int
	value string
	path  string // "kafka.max_connections", "listeners[0].bind"
}

// places lists the values of a file that is YAML.
func places(content []byte) []place {
	var doc yaml.Node
	if yaml.Unmarshal(content, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	return placesOf(nil, doc.Content[0], "")
}

func placesOf(out []place, n *yaml.Node, path string) []place {
	switch n.Kind {
	case yaml.MappingNode:
		out = append(out, place{n.Line, "", path})
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := n.Content[i].Value
			if path != "" {
				at = path + "." + at
			}
			out = placesOf(out, n.Content[i+1], at)
		}
	case yaml.SequenceNode:
		out = append(out, place{n.Line, "", path})
		for i, c := range n.Content {
			out = placesOf(out, c, fmt.Sprintf("%s[%d]", path, i))
		}
	case yaml.ScalarNode: // an alias points elsewhere, perhaps in a circle
		out = append(out, place{n.Line, n.Value, path})
	}
	return out
}

var (
	badValue   = regexp.MustCompile(`^line (\d+): cannot unmarshal !!\w+ (?:` + "`((?s:.*))`" + ` )?into (\S+)`)
	unknownKey = regexp.MustCompile(`^(line \d+: )field (.*) not found in type `)
)

// wanted says what values of Go's types look like.
var wanted = map[string]string{
	"time.Duration": "a duration such as 30s", "bool": "true or false", "string": "text", "float64": "a number",
}

// plain takes Go's types out of the messages of the YAML library, and names the settings.
func plain(errs []string, in []place) string {
	out := make([]string, len(errs))
	for i, e := range errs {
		out[i] = e
		if m := unknownKey.FindStringSubmatch(e); m != nil {
			out[i] = fmt.Sprintf("%sunknown key %q", m[1], m[2])
		} else if m := badValue.FindStringSubmatch(e); m != nil {
			out[i] = fmt.Sprintf("line %s: %s%s: want %s", m[1], setting(in, m[1], m[2]), quoted(m[2]), want(m[3]))
		}
	}
	return strings.Join(out, "; ")
}

// setting names the one whose value stands in a line; the library cuts long values short.
// Of several lists or maps that begin in a line it is the innermost.
func setting(in []place, line, value string) (name string) {
	n, _ := strconv.Atoi(line)
	short := strings.TrimSuffix(value, "...")
	for _, p := range in {
		if p.line != n || p.path == "" {
			continue
		}
		if value == "" && p.value == "" {
			name = p.path + ": "
		} else if value != "" && (p.value == value || short != value && strings.HasPrefix(p.value, short)) {
			return p.path + ": "
		}
	}
	return name
}

func quoted(value string) string {
	if value == "" {
		return "bad value"
	}
	return "bad value `" + value + "`"
}

func want(goType string) string {
	switch {
	case wanted[goType] != "":
		return wanted[goType]
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "int"), strings.HasPrefix(goType, "uint"):
		return "an integer"
	}
	return "settings below it"
}
