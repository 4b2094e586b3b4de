package main

import (
	"log/slog"
	"os"
)

// reloads are signals that don't end a process; Windows has none.
type reloads struct{ reload, debug chan os.Signal }

func watchReloads() *reloads { return new(reloads) }

func (r *reloads) close() {}

func enoughFiles(*slog.Logger) error { return nil }
