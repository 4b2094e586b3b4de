package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"varve/agent"
	"varve/internal/hostmem"
	"varve/internal/memshare"
	"varve/internal/settings"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// configVariable names the configuration file where no flag does.
const configVariable = settings.EnvPrefix + "CONFIG"

// bootstrapVariable has name:password of the first user.
const bootstrapVariable = settings.EnvPrefix + "BOOTSTRAP_USER"

// cacheVariable is the tests', not an agent's.
const cacheVariable = settings.EnvPrefix + "TEST_CACHE"

// unknownMemory is what a host is taken to have that doesn't tell: Windows, where no agent runs.
const unknownMemory = 4 << 30

// configFlags are the flags of commands that read an agent's configuration.
type configFlags struct {
	file     string
	defaults agent.Config
	flags    *settings.Flags
	special  func(cfg *agent.Config)       // the values of a command's other flags; may be nil
	check    func(cfg *agent.Config) error // all that the command refuses
	memory   agent.Memory                  // how the memory was divided when the settings were read
	shares   map[string]bool               // the settings that got a share of it
}

func addConfigFlags(c *cobra.Command, defaults agent.Config) *configFlags {
	f := &configFlags{defaults: defaults}
	c.Flags().StringVar(&f.file, "config", "", "YAML file of settings (environment: "+configVariable+")")
	f.flags = settings.AddFlags(c.Flags(), &f.defaults)
	completeValues(c, "log-level", "debug", "info", "warn", "error")
	completeValues(c, "log-format", "text", "json")
	completeValues(c, "store-driver", "aws", "minio", "dir", "memory")
	return f
}

// load reads the settings and checks them. All that is wrong is reported at once; the
// configuration is returned also beside an error.
func (f *configFlags) load() (agent.Config, error) { return f.checked(f.read()) }

// checked adds what is wrong with settings that were read to what was wrong with reading.
func (f *configFlags) checked(cfg agent.Config, err error) (agent.Config, error) {
	if unread := (settings.Unread{}); !errors.As(err, &unread) {
		err = errors.Join(err, f.check(&cfg))
	}
	if err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

// read takes the file, then the environment, then the flags. What can't be understood stays
// as it was.
func (f *configFlags) read() (agent.Config, error) {
	cfg := f.defaults
	var errs []error
	if name := cmp.Or(f.file, os.Getenv(configVariable)); name != "" {
		content, err := os.ReadFile(name)
		if err != nil {
			return cfg, settings.Unread{Err: fmt.Errorf("configuration: %w", err)}
		}
		errs = append(errs, settings.FromYAML(&cfg, name, content))
	}
	errs = append(errs, settings.FromEnv(&cfg, os.Environ(), configVariable, bootstrapVariable, cacheVariable, brokersVariable, httpVariable, profileVariable))
	cfg.Security.BootstrapUser = os.Getenv(bootstrapVariable)
	if f.flags != nil {
		errs = append(errs, f.flags.Apply(&cfg))
	}
	if f.special != nil {
		f.special(&cfg)
	}
	errs = append(errs, settings.ReadSecrets(&cfg, readPrivate))
	f.shares = map[string]bool{}
	for _, s := range settings.Of(&cfg) {
		f.shares[s.Path] = s.Shares()
	}
	var err error
	f.memory, err = cfg.ShareMemory(cmp.Or(hostmem.Read(readBounded).Size(), unknownMemory))
	return cfg, errors.Join(append(errs, err)...)
}

// readBounded reads a file, which may be a pipe.
func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return b, err
}

// readPrivate reads a file that others can't read; it may be a pipe.
func readPrivate(name string, limit int64) ([]byte, error) {
	b, err := readBounded(name, limit)
	if err == nil {
		err = tlsfile.Private(vfs.OS{}, name)
	}
	return b, err
}

// checkSettings finds all that is wrong with an agent's settings, and files that they name.
func checkSettings(cfg *agent.Config) error {
	return errors.Join(cfg.Validate(), cfg.ValidateStores(), cfg.CheckFiles(vfs.OS{}))
}

// printSettings writes a file that --config reads, but for secrets, which are to be added.
// Shares of the memory are remarks: they follow from it.
func (f *configFlags) printSettings(w io.Writer, cfg *agent.Config) {
	all := settings.Of(cfg)
	if hidden := settings.Hidden(all); len(hidden) > 0 {
		fmt.Fprintf(w, "# Secrets are hidden: before --config reads this, add %s, or name files with %s_file.\n", strings.Join(hidden, ", "), hidden[0])
	}
	for _, s := range all {
		switch {
		case f.shares[s.Path]:
			fmt.Fprintln(w, "# "+s.Line()+" # a share of memory")
		default:
			fmt.Fprintln(w, s.Line())
		}
		if s.Path == "memory" {
			f.printMemory(w)
		}
	}
}

// printMemory remarks how the memory is divided.
func (f *configFlags) printMemory(w io.Writer) {
	fmt.Fprintf(w, "# memory is %s here, %s of it for the Go heap:\n", memshare.Text(f.memory.Total), memshare.Text(f.memory.Heap()))
	for _, p := range f.memory.Parts {
		fmt.Fprintf(w, "#   %-15s %10s  %s\n", p.Name, memshare.Text(p.Bytes), p.Setting)
	}
}

func configCommand() *cobra.Command {
	var f *configFlags
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the settings that an agent would have, secrets hidden",
		Long: `Print the settings that an agent would have, as a file that --config reads, secrets hidden: the
first line says which have to be added, if any. Secrets that were read from files need nothing.
Settings that are shares of memory are shown as remarks, with what they are on this host.
Settings come from the file, then from environment variables, then from flags; each
overrides the one before. When 'varve agent' would refuse them the exit code is 2, and
standard error says all that is wrong.`,
		Example: "  varve config --config varve.yaml\n  varve config | grep journal",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, unclear := f.read()
			if unclear == nil {
				f.printSettings(c.OutOrStdout(), &cfg)
			}
			if _, err := f.checked(cfg, unclear); err != nil {
				return fmt.Errorf("'varve agent' refuses these settings: %w", err)
			}
			if err := cfg.ValidateShared(); err != nil { // 'varve dev' takes them
				fmt.Fprintf(c.ErrOrStderr(), "'varve agent' refuses these settings: %v\n", err)
			}
			return nil
		},
	}
	f = addConfigFlags(c, agent.SharedConfig())
	f.check = checkSettings
	return c
}
