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
	badValue = regexp.MustCompile(`^line (\d+): cannot unmarshal !!\w+ (?:` + "`((?s:.*))`" + ` )?into (\S+)`)
)

// wanted returns what values of Go's types look like.
var wanted = map[string]string{
	"time.Duration": "a duration such as 30s", "bool": "true or false", "string": "text", "float64": "a number",
}

// plain takes Go's types out of the messages of the YAML library, and names the settings.
func plain(errs []string, in []place) (out []mistake) {
	for _, e := range errs {
		m := badValue.FindStringSubmatch(e)
		if m == nil {
			line, text := 0, e
			if _, err := fmt.Sscanf(e, "line %d:", &line); err == nil {
				_, text, _ = strings.Cut(e, ": ")
			}
			out = append(out, mistake{line, text})
			continue
		}
		line, _ := strconv.Atoi(m[1])
		name, value := setting(in, line, m[2])
		out = append(out, mistake{line, fmt.Sprintf("%s%s: want %s", name, quoted(value), want(m[3]))})
	}
	return out
}

// setting names the one whose value stands in a line, and returns the whole value: the
// library cuts long ones short. Of several lists or maps that begin in a line it is the
// innermost.
func setting(in []place, line int, value string) (name, whole string) {
	short := strings.TrimSuffix(value, "...")
	for _, p := range in {
		if p.line != line || p.path == "" {
			continue
		}
		if value == "" && p.value == "" {
			name = p.path + ": "
		} else if value != "" && (p.value == value || short != value && strings.HasPrefix(p.value, short)) {
			return p.path + ": ", p.value
		}
	}
	return name, value
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
