package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"varve/agent"
	"varve/internal/logs"
	"varve/internal/settings"
)

// signalsHelp reports what signals do.
const signalsHelp = `SIGHUP reads the settings again: log.level changes at once;
the log names the others that changed and need a restart. SIGUSR1 switches debug logging on, and off again.`

// server is what all processes that serve have: settings, a log whose level changes, and
// these signals.
type server struct {
	flags   *configFlags
	cfg     agent.Config
	loaded  agent.Config // cfg as it was read
	log     *slog.Logger
	level   *slog.LevelVar
	limit   *logs.Limit // of log's lines
	signals *reloads
	binds   map[string]string // addresses, and how to choose others
}

// newServer reads the settings. From here on a hang-up doesn't end the process.
func newServer(f *configFlags) (*server, error) {
	if runtime.GOOS == "windows" {
		return nil, usagef("agents don't run on Windows: use Linux, macOS or WSL. The other commands work here")
	}
	s := &server{flags: f, level: new(slog.LevelVar), signals: watchReloads()}
	cfg, err := f.load()
	if err == nil {
		s.cfg, s.loaded = cfg, cfg
		err = s.openLog(os.Stderr)
	}
	if err == nil {
		err = enoughFiles(s.log)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	tuneMemory(&f.memory, &s.cfg, s.log)
	s.binds = map[string]string{cfg.HTTP: "--http", cfg.Peer.Bind: "--peer-bind"}
	for _, l := range cfg.Listeners {
		s.binds[l.Bind] = "--listeners"
	}
	s.log.Info("starting", "version", version(), "go", runtime.Version(), "pid", os.Getpid(), "broker", cfg.BrokerID, "data_dir", cfg.DataDir, "memory", f.memory.Total, "journal_cache", cfg.Journal.CacheBytes)
	return s, nil
}

func (s *server) close() { s.signals.close() }

// openLog makes a log of structured lines by the settings.
func (s *server) openLog(w io.Writer) error {
	if err := s.setLevel(s.cfg.Log.Level); err != nil {
		return err
	}
	o := &slog.HandlerOptions{Level: s.level}
	var h slog.Handler
	if s.cfg.Log.Format == "json" {
		o.ReplaceAttr = readableDuration
		h = slog.NewJSONHandler(w, o)
	} else {
		h = slog.NewTextHandler(w, o)
	}
	s.limit = logs.NewLimit(s.cfg.Log.MaxPerMinute)
	s.log = slog.New(s.limit.Handler(h))
	return nil
}

// readableDuration writes durations as text does ("1.5s"): JSON has them as nanoseconds.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func (s *server) setLevel(text string) error {
	level, err := logs.ParseLevel(text)
	if err != nil {
		return usagef("log.level: %v", err)
	}
	s.level.Set(level)
	return nil
}

// listen reports which setting chooses another address when one is taken.
func (s *server) listen(network, addr string) (net.Listener, error) {
	l, err := net.Listen(network, addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("cannot listen on %s: address in use; choose another with %s", addr, s.binds[addr])
	}
	return l, err
}

// run runs an agent, and reloads its settings on a signal.
func (s *server) run(ctx context.Context, a *agent.Agent) error {
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { s.obey(ctx) })
	beside.Go(func() { tellSystemd(ctx, a) })
	err := a.Run(ctx)
	cancel()
	beside.Wait()
	return err
}

// obey handles signals until ctx ends.
func (s *server) obey(ctx context.Context) {
	configured := s.cfg.Log.Level
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.signals.reload:
			configured = s.reload(configured)
		case <-s.signals.debug:
			s.switchDebug(configured)
		}
	}
}

// switchDebug logs more, or as configured again.
func (s *server) switchDebug(configured string) {
	was, next := s.level.Level(), "debug"
	if was <= slog.LevelDebug {
		next = configured
	}
	_ = s.setLevel(next) // it was checked when it was read
	if s.level.Level() == was {
		s.log.Info("log level is as configured already", "level", next, "why", "SIGUSR1")
		return
	}
	s.log.Info("log level changed", "level", next, "why", "SIGUSR1")
}

// reload takes over what can change, and returns the log level that is configured now.
func (s *server) reload(level string) string {
	cfg, err := s.flags.load()
	if err != nil {
		s.log.Error("configuration not reloaded: it is wrong", "err", err)
		return level
	}
	_ = s.setLevel(cfg.Log.Level) // load checked it
	var waiting []string
	old, fresh := settings.Of(&s.loaded), settings.Of(&cfg)
	for i, now := range fresh {
		if now.Path != "log.level" && !now.Equal(old[i]) && !now.InFile(fresh) {
			waiting = append(waiting, now.Path)
		}
	}
	s.log.Info("configuration reloaded", "log.level", cfg.Log.Level)
	if len(waiting) > 0 {
		s.log.Warn("settings that changed need a restart", "settings", strings.Join(waiting, ","))
	}
	return cfg.Log.Level
}
