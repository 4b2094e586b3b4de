package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// release and commit are those of a release build, set by the linker.
var release, commit = "", ""

// version is the release, or what the Go toolchain knows of the build.
func version() string { return build().Version }

// buildInfo is what this program was built from.
type buildInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified"` // the commit's files were changed
	Time     string `json:"time,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func build() buildInfo {
	b := buildInfo{Version: "(devel)", Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok && info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	if release != "" {
		b.Version = release
	}
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func versionCommand() *cobra.Command {
	var out jsonFlag
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the platform",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b := build()
			return out.write(c.OutOrStdout(), b, func(t *table) {
				changed := ""
				if b.Modified {
					changed = " with changes"
				}
				t.row("varve " + b.Version)
				t.row("commit", strings.TrimSpace(orDash(b.Commit)+changed+" "+b.Time))
				t.row("built", b.Go+" "+b.Platform)
			})
		},
	}
	out.add(c, buildInfo{})
	return c
}
