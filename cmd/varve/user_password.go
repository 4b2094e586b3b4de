package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/term"

	"varve/auth/sasl"
)

// maxPassword bounds a password, in bytes.
const maxPassword = 1024

// newPassword are the flags of commands that set a password, which is never an argument: others
// see those.
type newPassword struct {
	command    *cobra.Command
	file       string
	mechanisms []string
	iterations int32
	password   string // read
}

func (p *newPassword) add(c *cobra.Command, mechanisms string) {
	p.command = c
	s := c.Flags()
	s.StringVar(&p.file, "new-password-file", "", "file with the password, which others must not be able to read; - is standard input; without it the password is asked for, or read from standard input if that is no terminal")
	s.StringSliceVar(&p.mechanisms, "mechanism", nil, "SCRAM-SHA-256, SCRAM-SHA-512, or both, separated by a comma (default "+mechanisms+"); PLAIN works with either")
	s.Int32Var(&p.iterations, "iterations", sasl.DefaultIterations, fmt.Sprintf("how often the password is hashed, %d to %d", sasl.MinIterations, sasl.MaxIterations))
	completeValues(c, "mechanism", sasl.ScramSHA256, sasl.ScramSHA512)
}

// check reads the password, before a broker is asked.
func (p *newPassword) check([]string) (err error) {
	for _, m := range p.mechanisms {
		if mechanismNumbers[m] == 0 {
			return usagef("--mechanism %q: must be %s or %s", m, sasl.ScramSHA256, sasl.ScramSHA512)
		}
	}
	if p.iterations < sasl.MinIterations || p.iterations > sasl.MaxIterations {
		return usagef("--iterations is %d: must be %d to %d", p.iterations, sasl.MinIterations, sasl.MaxIterations)
	}
	if p.password, err = p.read(); err != nil {
		return err
	}
	switch {
	case p.password == "":
		return usagef("the password is empty")
	case len(p.password) > maxPassword:
		return usagef("the password has %d bytes: at most %d are allowed", len(p.password), maxPassword)
	}
	return nil
}

func (p *newPassword) read() (string, error) {
	in := p.command.InOrStdin()
	if p.file != "" && p.file != "-" {
		password, err := secretFile(p.file)
		if err != nil {
			return "", fmt.Errorf("--new-password-file: %w", err)
		}
		return password, nil
	}
	if f, ok := in.(*os.File); ok && p.file == "" && term.IsTerminal(int(f.Fd())) {
		return ask(f, p.command.ErrOrStderr())
	}
	password, err := secretLine(in)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return password, nil
}

// ask asks for a password twice, without showing it.
func ask(terminal *os.File, prompts io.Writer) (string, error) {
	var said [2]string
	for i, prompt := range []string{"New password: ", "Once more: "} {
		fmt.Fprint(prompts, prompt)
		b, err := term.ReadPassword(int(terminal.Fd()))
		fmt.Fprintln(prompts)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		said[i] = string(b)
	}
	if said[0] != said[1] {
		return "", usageError{errors.New("the two passwords differ")}
	}
	return said[0], nil
}

// settings are the requests that give a user the password.
func (p *newPassword) settings(user string, mechanisms []string) (all []kadm.UpsertSCRAM) {
	for _, m := range slices.Compact(slices.Sorted(slices.Values(mechanisms))) {
		all = append(all, kadm.UpsertSCRAM{User: user, Mechanism: mechanismNumbers[m], Iterations: p.iterations, Password: p.password})
	}
	return all
}
