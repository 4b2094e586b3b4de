// Package docs writes the reference pages of the project from what the program
// itself knows: settings, APIs, metrics and commands.
//
// It promises the same bytes for the same program. It reads and writes no files,
// and knows no other part: callers bring tables.
package docs

import (
	"fmt"
	"strings"
)

// notice begins every page.
const notice = "<!-- Written by 'make docs' from the code; changes here are lost. -->\n\n"

// cell makes text fit into a cell of a Markdown table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}

// code sets text as code, nothing as nothing.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", "\\|") + "`"
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}
