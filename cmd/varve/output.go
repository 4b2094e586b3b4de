package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// jsonFlag lets a command speak to machines. What it then writes is described by
// a value of its type, for docs/cli.md.
type jsonFlag struct{ on bool }

// jsonAnnotation keeps the shape of a command's JSON, for its documentation.
const jsonAnnotation = "json"

func (j *jsonFlag) add(c *cobra.Command, example any) {
	c.Flags().BoolVar(&j.on, "json", false, "write JSON instead of a table")
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[jsonAnnotation] = shape(reflect.TypeOf(example), "")
}

// write prints v as JSON, or else what people prints.
func (j *jsonFlag) write(w io.Writer, v any, people func(t *table)) error {
	if j.on {
		return writeJSON(w, v)
	}
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	people(t)
	return t.w.Flush()
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table aligns columns.
type table struct{ w *tabwriter.Writer }

// maxCell is how many characters a table shows of what stands before another column: a
// column is as wide as its longest cell, and a group's id may have thousands. A topic's
// name fits. JSON has all of it.
const maxCell = 250

// row prints cells of one line.
func (t *table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		text := fmt.Sprint(c)
		if i < len(cells)-1 {
			text = cut(text)
		}
		fmt.Fprint(t.w, text)
	}
	fmt.Fprintln(t.w)
}

// cut shortens a cell.
func cut(text string) string {
	if utf8.RuneCountInString(text) <= maxCell {
		return text
	}
	return string([]rune(text)[:maxCell-1]) + "…"
}

// gap ends a table: what follows has columns of its own.
func (t *table) gap() {
	t.w.Flush()
	fmt.Fprintln(t.w)
}

// dash stands where there is nothing to show.
const dash = "-"

// number shows what is below 0 as a dash.
func number[N ~int32 | ~int64](n N) string {
	if n < 0 {
		return dash
	}
	return fmt.Sprint(n)
}

func orDash(s string) string {
	if s == "" {
		return dash
	}
	return s
}

// inParentheses is a note after a cell, if there is one.
func inParentheses(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func brokerList(ids []int32) string {
	out := make([]string, len(ids))
	for i, n := range ids {
		out[i] = fmt.Sprint(n)
	}
	return orDash(strings.Join(out, ","))
}

// textMarshaler is what JSON writes as a text.
type textMarshaler interface{ MarshalText() ([]byte, error) }

// shape describes the JSON of a type, a field a line.
func shape(t reflect.Type, indent string) string {
	if t.Implements(reflect.TypeFor[textMarshaler]()) {
		return "string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shape(t.Elem(), indent)
	case reflect.Slice:
		return "[" + shape(t.Elem(), indent) + ", ...]"
	case reflect.Map:
		return "{<name>: " + shape(t.Elem(), indent) + ", ...}"
	case reflect.Struct:
		return "{\n" + fields(t, indent+"  ") + indent + "}"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Float64, reflect.Float32:
		return "number"
	case reflect.Interface:
		return "any"
	}
	return "integer"
}

func fields(t reflect.Type, indent string) string {
	var b strings.Builder
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			b.WriteString(fields(f.Type, indent))
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		note := ""
		if strings.Contains(opts, "omitempty") {
			note = "   (if any)"
		} else if f.Type.Kind() == reflect.Pointer {
			note = " or null"
		}
		fmt.Fprintf(&b, "%s%q: %s%s\n", indent, name, shape(f.Type, indent), note)
	}
	return b.String()
}

// writeJSONLine is for output that a script takes the last line of.
func writeJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
