package docs

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// CLI is the page of a program's commands: usage, flags, examples, and the shape
// of their JSON, which stands in the annotation jsonKey. Flags of settings, which
// have their own page, are left out: hidden names commands and the page to see.
func CLI(root *cobra.Command, jsonKey string, hidden func(c *cobra.Command, f *pflag.Flag) bool) string {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var b strings.Builder
	b.WriteString(notice)
	fmt.Fprintf(&b, "# Commands\n\n%s\n\n", root.Long)
	row(&b, "command", "what it does")
	b.WriteString("|---|---|\n")
	var all []*cobra.Command
	visit(root, func(c *cobra.Command) {
		row(&b, fmt.Sprintf("[%s](#%s)", code(c.CommandPath()), strings.ReplaceAll(c.CommandPath(), " ", "-")), cell(c.Short))
		all = append(all, c)
	})
	for _, c := range all {
		command(&b, c, jsonKey, hidden)
	}
	return b.String()
}

// visit walks through the commands that do something.
func visit(c *cobra.Command, each func(*cobra.Command)) {
	for _, child := range c.Commands() {
		if child.Hidden || child.Name() == "help" {
			continue
		}
		if child.HasAvailableSubCommands() {
			visit(child, each)
			continue
		}
		each(child)
	}
}

func command(b *strings.Builder, c *cobra.Command, jsonKey string, hidden func(*cobra.Command, *pflag.Flag) bool) {
	c.InitDefaultHelpFlag()
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", c.CommandPath(), strings.TrimSpace(text))
	fence(b, c.UseLine())
	if c.Example != "" {
		b.WriteString("Examples:\n\n")
		fence(b, unindent(c.Example))
	}
	left := 0
	var flags strings.Builder
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Hidden || f.Name == "help":
		case hidden != nil && hidden(c, f):
			left++
		default:
			row(&flags, flagName(f), code(defaultOf(f)), cell(f.Usage))
		}
	})
	if flags.Len() > 0 {
		row(b, "flag", "default", "what it is")
		b.WriteString("|---|---|---|\n" + flags.String() + "\n")
	}
	if left > 0 {
		fmt.Fprintf(b, "And a flag for each of the %d [settings](config.md).\n\n", left)
	}
	if shape := c.Annotations[jsonKey]; shape != "" {
		b.WriteString("With `--json`:\n\n")
		fence(b, shape)
	}
}

func fence(b *strings.Builder, text string) { fmt.Fprintf(b, "```\n%s\n```\n\n", text) }

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}

func flagName(f *pflag.Flag) string {
	name := code("--" + f.Name)
	if f.Shorthand != "" {
		name = code("-"+f.Shorthand) + ", " + name
	}
	return name
}

// defaultOf is a flag's default, unless it means that it was not given.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "[]", "false":
		return ""
	}
	return f.DefValue
}
