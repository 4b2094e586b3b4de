package agent

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"varve/internal/id"
	"varve/internal/vfs"
	"varve/metadata"
	"varve/metadata/schema"
)

// What an etcd that was restored from an older state may have given out before, beside
// what this disk shows of it.
const (
	skippedIncarnations = 1000
	skippedProducers    = 1 << 32
)

// acceptOlder refuses an etcd that is older than it was. If the agent is set to accept it,
// the agent goes on with it and destroys nothing: objects in the bucket that the older etcd
// doesn't know are held, journals that it doesn't know are set aside, and numbers that may
// have been given out are skipped. A crash in between repeats it.
func (a *Agent) acceptOlder(ctx, _ context.Context) error {
	var err error
	if a.seen, err = metadata.OpenSeen(a.deps.FS, a.cfg.DataDir); err != nil {
		return err
	}
	kvs, rev, err := a.deps.Meta.List(ctx, schema.PrefixJournals)
	if err != nil {
		return err
	}
	if !a.cfg.AcceptOlderEtcd {
		return a.seen.Check(a.seen.Newest(), rev) // before anything is written, which hides it
	}
	known := map[id.Journal]bool{}
	for _, kv := range kvs {
		j, err := schema.ParseJournalKey(kv.Key)
		if err != nil {
			return err
		}
		known[j] = true
	}
	a.log.Warn("an older etcd is accepted", "revision", rev, "seen", a.seen.Newest())
	text := fmt.Sprintf("since agent %v accepted an older etcd at %v", a.self, a.deps.Now().UTC().Format("2006-01-02T15:04:05Z"))
	if _, err := a.deps.Meta.Txn(ctx, nil, metadata.Put(schema.KeyGarbageHeld, []byte(text))); err != nil {
		return fmt.Errorf("hold garbage: %w", err)
	}
	highest, err := a.setAside(known)
	if err != nil {
		return fmt.Errorf("set journals aside: %w", err)
	}
	if err := raise(ctx, a.deps.Meta, schema.KeyIncarnation, func(n int64) int64 { return max(n, int64(highest)) + skippedIncarnations }); err != nil {
		return err
	}
	if err := raise(ctx, a.deps.Meta, schema.KeyProducers, func(n int64) int64 { return n + skippedProducers }); err != nil {
		return err
	}
	return a.seen.Accept(rev) // though it was further
}

// setAside moves the files of journals that aren't known to a directory of their own, and
// returns the highest incarnation that wrote any journal here. No other process may use
// the directory.
func (p *process) setAside(known map[id.Journal]bool) (highest id.Incarnation, err error) {
	fs, from, to := p.deps.FS, p.cfg.JournalDir(), strings.TrimSuffix(p.cfg.DataDir, "/")+"/journal-set-aside"
	names, err := fs.List(from)
	if errors.Is(err, vfs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	lock, err := fs.Lock(from + "/lock")
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	moved := map[id.Journal]int{}
	for _, name := range names {
		base, _, _ := strings.Cut(name, ".")
		j, err := id.ParseJournal(base)
		if err != nil {
			continue // not of a journal
		}
		highest = max(highest, j.Writer)
		if known[j] {
			continue
		}
		if len(moved) == 0 {
			if err := fs.MkdirAll(to); err != nil {
				return 0, err
			}
		}
		if err := fs.Rename(from+"/"+name, to+"/"+name); err != nil {
			return 0, err
		}
		moved[j]++
	}
	for j, n := range moved {
		p.log.Warn("journal that the older etcd doesn't know was set aside", "journal", j, "files", n, "directory", to)
	}
	if len(moved) == 0 {
		return highest, nil
	}
	return highest, errors.Join(fs.SyncDir(to), fs.SyncDir(from))
}

// raise changes a counter in etcd.
func raise(ctx context.Context, store metadata.Store, key string, to func(int64) int64) error {
	for {
		kv, err := store.Get(ctx, key)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return err
		}
		n := int64(0)
		if err == nil {
			if n, err = strconv.ParseInt(string(kv.Value), 10, 64); err != nil {
				return fmt.Errorf("counter %s: %w", key, err)
			}
		}
		_, err = store.Txn(ctx, []metadata.Guard{{Key: key, Mod: kv.Mod}}, metadata.Put(key, strconv.AppendInt(nil, to(n), 10)))
		if !errors.Is(err, metadata.ErrConflict) {
			return err
		}
	}
}
