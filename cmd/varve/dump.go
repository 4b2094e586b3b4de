package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"varve/agent"
)

func dumpCommand() *cobra.Command {
	return parent("dump", "Show what is stored, for people, without an agent",
		dumpJournalCommand(), dumpObjectCommand(), dumpHeadCommand())
}

// storesFlags are where the bucket and etcd are: in an agent's configuration, or
// below the data directory of `varve dev`.
type storesFlags struct {
	file, data string
}

func (s *storesFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "config", "", "an agent's configuration file (environment: "+configVariable+"); its other variables count as well")
	c.Flags().StringVar(&s.data, "data", "", "the data directory of 'varve dev', instead of a configuration")
}

// load returns the configuration with the settings of etcd and the object store.
func (s *storesFlags) load() (agent.Config, error) {
	cfg := agent.DefaultConfig()
	if s.data != "" {
		if s.file != "" {
			return cfg, usagef("--data and --config exclude each other")
		}
		if _, err := os.Stat(s.data); err != nil {
			return cfg, usageError{err}
		}
		cfg.Store.Driver, cfg.Store.Directory = "dir", filepath.Join(s.data, "bucket")
		return cfg, nil
	}
	f := configFlags{file: s.file, defaults: agent.SharedConfig()}
	cfg, err := f.read()
	if err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}
