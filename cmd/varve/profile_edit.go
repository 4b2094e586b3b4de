package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

func profileEditCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "edit",
		Short: "Edit the file of profiles with $VISUAL or $EDITOR",
		Long: `Edit the file of profiles with $VISUAL or $EDITOR (by default vi). What was written is checked
before it replaces the file; if something is wrong, the file stays as it was.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return changeProfiles(func(all *profiles) error { return editProfiles(c, all) })
		},
	}
}

// editProfiles lets the user edit a copy and takes it over if it is right.
func editProfiles(c *cobra.Command, all *profiles) error {
	before, err := yaml.Marshal(all)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "varve-profiles-*.yaml") // mode 0600
	if err != nil {
		return err
	}
	name := f.Name()
	_, err = f.Write(before)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = runEditor(c.Context(), name)
	}
	if err != nil {
		os.Remove(name)
		return err
	}
	after, err := readBounded(name, maxProfiles)
	if err != nil {
		return err
	}
	var edited profiles
	if err := edited.parse(after); err != nil {
		return usagef("%w; the profiles stay as they were, what you wrote is in %s", err, name)
	}
	os.Remove(name)
	*all = edited
	return nil
}

func runEditor(ctx context.Context, file string) error {
	editor := strings.Fields(cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")) // it may have arguments
	cmd := exec.CommandContext(ctx, editor[0], append(editor[1:], file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("editor %s: %w", editor[0], err)
	}
	return nil
}
