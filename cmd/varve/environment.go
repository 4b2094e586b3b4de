package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// environmentFile names the file with variables that the agent's systemd unit reads.
type environmentFile struct{ name string }

func (e *environmentFile) add(c *cobra.Command) {
	c.Flags().StringVar(&e.name, "environment-file", "", "file with variables of the agent, as its systemd unit reads it (EnvironmentFile=); empty: 'environment' beside the configuration file, if it is there")
}

// maxEnvironment bounds a file of variables.
const maxEnvironment = 1 << 20

// load sets the file's variables, but those that are set already.
func (e *environmentFile) load(config string) error {
	name := e.name
	if name == "" {
		if config == "" {
			config = os.Getenv(configVariable)
		}
		if config == "" {
			return nil
		}
		name = filepath.Join(filepath.Dir(config), "environment")
	}
	b, err := readBounded(name, maxEnvironment)
	if errors.Is(err, os.ErrNotExist) && e.name == "" {
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxEnvironment)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \t") {
			return usageError{fmt.Errorf("%s:%d: want NAME=VALUE", name, n)}
		}
		if _, set := os.LookupEnv(key); set {
			continue
		}
		if err := os.Setenv(key, unquoted(value)); err != nil {
			return usageError{fmt.Errorf("%s:%d: %w", name, n, err)}
		}
	}
	return lines.Err()
}

// unquoted takes the quotes off a value that is quoted as a whole.
func unquoted(value string) string {
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		return value[1 : n-1]
	}
	return value
}
