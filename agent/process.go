package agent

import (
	"log/slog"
	"sync"
	"time"

	"varve/audit"
	"varve/internal/chance"
	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata/schema"
)

// process is what all parts of an agent have from the beginning.
type process struct {
	cfg    Config
	deps   Deps
	disk   *vfs.Watched // deps.FS
	files  vfs.FS       // the same, unwatched: for files of the configuration
	log    *slog.Logger
	random *chance.Source
	self   id.Broker
	fatal  chan error   // what ends the agent
	trail  *audit.Trail // nil: security.audit_topic is empty
	tasks  sync.WaitGroup
}

func newProcess(cfg Config, deps Deps) *process {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Levels == (schema.Levels{}) {
		deps.Levels = schema.Known()
	}
	disk := vfs.Watch(deps.FS)
	deps.FS = disk
	p := &process{cfg: cfg, deps: deps, disk: disk, files: disk.Unwatched(), log: deps.Log, random: chance.New(deps.Random), self: id.Broker(cfg.BrokerID), fatal: make(chan error, 1)}
	if cfg.Security.AuditTopic != "" {
		p.trail = audit.New(audit.Options{Key: []byte(p.self.String()), Now: deps.Now, Log: p.log, Registry: deps.Registry})
	}
	return p
}

// die ends the agent for a reason that nothing can go on after.
func (p *process) die(err error) {
	select {
	case p.fatal <- err:
	default:
	}
}

// run starts a goroutine that Run waits for.
func (p *process) run(f func()) {
	p.tasks.Add(1)
	go func() {
		defer p.tasks.Done()
		f()
	}()
}

// millis returns the time in ms since 1970.
func (p *process) millis() int64 { return p.deps.Now().UnixMilli() }
