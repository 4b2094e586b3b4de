package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"varve/internal/settings"
)

// guesses are what people of other tools type, and what it is here.
var guesses = map[string]string{
	"start": "dev' or 'varve agent", "server": "agent", "serve": "agent", "run": "dev", "broker": "agent", "container": "dev",
	"status": "cluster status", "health": "cluster health", "brokers": "cluster info", "metadata": "cluster info", "info": "cluster info", "drain": "cluster drain", "move": "cluster move",
	"create": "topic create", "delete": "topic delete", "list": "topic list", "ls": "topic list", "describe": "topic describe", "alter": "topic alter", "undelete": "topic undelete", "trim": "topic trim",
	"consumer-groups": "group list", "seek": "group seek", "reset": "group reset", "reset-offsets": "group reset", "offsets": "group describe", "lag": "group describe",
	"send": "produce", "publish": "produce", "write": "produce", "put": "produce", "get": "consume", "read": "consume", "subscribe": "consume", "cat": "consume", "tail": "consume",
	"settings": "config", "configs": "topic alter", "maintenance": "cluster drain", "decommission": "cluster drain", "partitions": "cluster move", "perf": "bench",
	"ready": "cluster health", "topic offsets": "topic describe", "topic lag": "group describe", "topic watermarks": "topic describe",
	"add-partitions": "topic alter", "alter-config": "topic alter", "trim-prefix": "topic trim", "delete-records": "topic trim",
}

// didYouMean names the command that was probably meant, or nothing.
func didYouMean(c *cobra.Command, arg string) string {
	var known []string
	for _, child := range c.Commands() {
		if !child.Hidden {
			known = append(append(known, child.Name()), child.Aliases...)
		}
	}
	if g := guessed(c, strings.ToLower(arg)); g != "" {
		return "varve " + g
	}
	if n := settings.Near(arg, known); n != "" {
		return n
	}
	found := ""
	walk(c.Root(), func(x *cobra.Command) {
		if found == "" && (x.Name() == arg || slices.Contains(x.Aliases, arg)) {
			found = x.CommandPath()
		}
	})
	return found
}

// guessed looks up what other tools call a command, there or below another one.
func guessed(c *cobra.Command, arg string) string {
	parent := strings.TrimPrefix(c.CommandPath(), "varve ")
	g, ok := guesses[parent+" "+arg]
	if !ok {
		g = guesses[arg]
	}
	if g != "" && parent != "varve" && exists(c.Root(), parent+" "+g) {
		g = parent + " " + g
	}
	return g
}

func exists(root *cobra.Command, path string) bool {
	c, rest, err := root.Find(strings.Fields(path))
	return err == nil && len(rest) == 0 && c != root
}

// walk visits all commands that are not hidden.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	for _, child := range c.Commands() {
		if !child.Hidden {
			visit(child)
			walk(child, visit)
		}
	}
}

var (
	unknownLong  = regexp.MustCompile(`^unknown flag: --([^ =]+)`)
	unknownShort = regexp.MustCompile(`^unknown shorthand flag: '(.)'`)
)

// flagGuesses are flags of other tools, and what they are here where there is such a flag.
var flagGuesses = map[string]string{
	"offset": "from", "offsets": "from", "from-beginning": "from", "max-messages": "count", "num": "count", "limit": "count", "output": "format",
	"bootstrap-server": "brokers", "bootstrap-servers": "brokers", "broker": "brokers", "broker-list": "brokers", "property": "config", "consumer-group": "group", "replicas": "replication-factor",
}

// flagError explains a flag that isn't known, and names the one that was meant. Flags after
// the name of a command that doesn't exist are not what is wrong.
func flagError(c *cobra.Command, err error) error {
	if c.HasSubCommands() && len(c.Flags().Args()) > 0 {
		return groupArgs(c, c.Flags().Args())
	}
	hint := ""
	if m := unknownLong.FindStringSubmatch(err.Error()); m != nil {
		var known []string
		c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		n := flagGuesses[m[1]]
		if c.Flags().Lookup(n) == nil {
			n = settings.Near(m[1], known)
		}
		if n != "" {
			hint = "; did you mean --" + n + "?"
		}
	}
	m := unknownShort.FindStringSubmatch(err.Error())
	brokers := m != nil && m[1] == "b" || strings.HasPrefix(err.Error(), "unknown flag: --brokers")
	switch {
	case brokers && c.Flags().Lookup("http") != nil:
		hint = fmt.Sprintf(": this command asks an agent over HTTP; --http or %s says where", httpVariable)
	case m != nil && m[1] == "t" && c.Name() != "varve":
		hint = ": the topic is an argument"
	}
	return usageError{fmt.Errorf("%w%s\nSee '%s --help'", err, hint, c.CommandPath())}
}

// groupArgs refuses names of commands that don't exist.
func groupArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command '%s %s'", c.CommandPath(), args[0])
	if near := didYouMean(c, args[0]); near != "" {
		text += fmt.Sprintf("; did you mean '%s'?", near)
	}
	return usagef("%s\nSee '%s --help'", text, c.CommandPath())
}

// checkArgs makes wrong arguments of all commands errors of usage.
func checkArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			var usage usageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			return usagef("%w\nUsage: %s", err, c.UseLine())
		}
	}
	for _, child := range c.Commands() {
		checkArgs(child)
	}
}

// hidden makes a command one that works without being shown: where people look for it.
func hidden(c *cobra.Command) *cobra.Command {
	c.Hidden = true
	return c
}

// alsoCalled adds names to a command.
func alsoCalled(c *cobra.Command, names ...string) *cobra.Command {
	c.Aliases = append(c.Aliases, names...)
	return c
}
