package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// printed is a command of this program that a document prints.
type printed struct {
	at    string   // file:line
	words []string // after the program's name
	whole bool     // it is meant to be run as it stands, and not a mention in a sentence
}

var (
	codeSpan     = regexp.MustCompile("`((?:bin/)?varve [^`]+)`")
	word         = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s"']+`)
	substitution = regexp.MustCompile(`\$\([^)]*\)`)
	// between ends one command of a line and begins another.
	between = []string{"|", "||", "&&", ";", "&"}
	program = []string{"varve", "bin/varve", "/usr/bin/varve"}
)

// printedIn returns the commands of a text: those in blocks of code, and those in code spans. Lines that end in a backslash
// are joined.
func printedIn(name, text string) (all []printed) {
	fenced, joined := false, ""
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", name, i+1)
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced && !strings.HasPrefix(line, "    ") && filepath.Ext(name) == ".md" || filepath.Ext(name) == ".yaml" {
			for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
				for _, mention := range alternatives(m[1]) {
					all = append(all, commandsOf(at, mention, false)...)
				}
			}
			continue
		}
		if part, more := strings.CutSuffix(line, "\\"); more {
			joined += part
			continue
		}
		line, _, _ = strings.Cut(joined+line, " #")
		joined = ""
		all = append(all, commandsOf(at, line, true)...)
	}
	return all
}

// alternatives spells out 'a|b c' as 'a c' and 'b c'; [x] may be left out.
func alternatives(text string) []string {
	words := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(text))
	for i, w := range words {
		if strings.Contains(w, "|") && w != "|" {
			var all []string
			for _, one := range strings.Split(w, "|") {
				all = append(all, alternatives(strings.Join(slices.Concat(words[:i], []string{one}, words[i+1:]), " "))...)
			}
			return all
		}
	}
	return []string{strings.Join(words, " ")}
}

// commandsOf returns the commands of this program in a line of a shell.
func commandsOf(at, line string, whole bool) (all []printed) {
	line = substitution.ReplaceAllString(line, "1")
	if strings.HasSuffix(line, "[flags]") {
		return nil // a line of usage
	}
	words := word.FindAllString(line, -1)
	for begin := 0; begin < len(words); {
		end := begin
		for end < len(words) && !slices.Contains(between, words[end]) {
			end++
		}
		command := words[begin:end]
		for len(command) > 0 && strings.Contains(command[0], "=") { // VARIABLE=value
			command = command[1:]
		}
		if len(command) > 1 && slices.Contains(program, command[0]) {
			args := []string{}
			for _, w := range command[1:] {
				if strings.HasPrefix(w, ">") || strings.HasPrefix(w, "<") {
					break
				}
				args = append(args, strings.Trim(w, `'"`))
			}
			all = append(all, printed{at, args, whole})
		}
		begin = end + 1
	}
	return all
}

// check reports what is wrong with a command: one that isn't there, a flag that it doesn't have, a wrong number of arguments.
func (p *printed) check(top *cobra.Command) error {
	c, rest, err := top.Find(p.words)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	if !p.whole {
		return p.mentioned(c, rest)
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if c.HasSubCommands() && c.Run == nil && c.RunE == nil {
		return fmt.Errorf("%q is not a command that can be run", strings.Join(p.words, " "))
	}
	return c.ValidateArgs(c.Flags().Args())
}

// mentioned checks the names of a command in a sentence, which may leave out values and arguments.
func (p *printed) mentioned(c *cobra.Command, rest []string) error {
	for i, w := range rest {
		name, long := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		switch {
		case w == "--":
			return nil
		case long && c.Flags().Lookup(name) == nil && c.InheritedFlags().Lookup(name) == nil:
			return fmt.Errorf("%s has no flag --%s", c.CommandPath(), name)
		case i == 0 && !strings.HasPrefix(w, "-") && c.HasSubCommands():
			return fmt.Errorf("%s has no command %q", c.CommandPath(), w)
		}
	}
	return nil
}

// Commands that are printed in documents, alerts and examples are ones that this program has.
func TestPrintedCommands(t *testing.T) {
	var names []string
	for _, pattern := range []string{"README.md", "ARCHITECTURE.md", "SECURITY.md", "docs/*.md", "docs/design/*.md", "deploy/prometheus/*.yaml", "terraform/README.md", "terraform/*/*/README.md"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		names = append(names, found...)
	}
	var all []printed
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, printedIn(name, string(text))...)
	}
	var examples func(c *cobra.Command)
	examples = func(c *cobra.Command) {
		for _, line := range strings.Split(c.Example, "\n") {
			line, _, _ = strings.Cut(line, " #")
			all = append(all, commandsOf("example of "+c.CommandPath(), line, true)...)
		}
		for _, sub := range c.Commands() {
			examples(sub)
		}
	}
	top := root()
	top.InitDefaultCompletionCmd()
	examples(top)
	whole := 0
	for _, p := range all {
		if p.whole {
			whole++
		}
		if err := p.check(top); err != nil {
			t.Errorf("%s: varve %s: %v", p.at, strings.Join(p.words, " "), err)
		}
	}
	if whole < 100 || len(all)-whole < 100 {
		t.Errorf("only %d commands and %d mentions were found", whole, len(all)-whole)
	}
	t.Logf("%d commands, %d mentions", whole, len(all)-whole)
}

// What TestPrintedCommands is to find, it finds.
func TestWrongCommandsAreFound(t *testing.T) {
	text := "Say `varve topic crate`, or `varve topic create|lost --partitions 3`, `varve cluster drain N --wait`.\n" +
		"    echo x | varve produce t --nokey && varve topic list a b # varve nonsense\n    A=b varve cluster \\\n       drain\n"
	var wrong []string
	top := root()
	for _, p := range printedIn("x.md", text) {
		if p.check(top) != nil {
			wrong = append(wrong, strings.Join(p.words, " "))
		}
	}
	want := []string{"topic crate", "topic lost --partitions 3", "produce t --nokey", "topic list a b", "cluster drain"}
	if !slices.Equal(wrong, want) {
		t.Errorf("%q, want %q", wrong, want)
	}
}
