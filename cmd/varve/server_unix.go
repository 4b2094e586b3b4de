//go:build unix

package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// reloads are signals that don't end a process.
type reloads struct{ reload, debug chan os.Signal }

func watchReloads() *reloads {
	r := &reloads{make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(r.reload, syscall.SIGHUP)
	signal.Notify(r.debug, syscall.SIGUSR1)
	return r
}

func (r *reloads) close() {
	signal.Stop(r.reload)
	signal.Stop(r.debug)
}

const (
	leastFiles  = 256  // an agent with less doesn't come up
	fairlyFiles = 4096 // with less, connections are refused before max_connections
)

// enoughFiles refuses to start where too few files may be open.
func enoughFiles(log *slog.Logger) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return nil // nothing is known
	}
	if l.Cur < leastFiles {
		return fmt.Errorf("this process may open %d files, and needs at least %d: raise the limit with 'ulimit -n', or LimitNOFILE in systemd", l.Cur, leastFiles)
	}
	if l.Cur < fairlyFiles {
		log.Warn("few files may be open: raise the limit with 'ulimit -n', or LimitNOFILE in systemd", "limit", uint64(l.Cur), "want", fairlyFiles)
	}
	return nil
}
