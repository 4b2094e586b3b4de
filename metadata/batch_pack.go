package metadata

// next takes the groups of the next transaction out of the queue, in order,
// passing over those that have to wait for a key. end is set if there will be
// no more.
func (w *Writer) next() (pack []*group, end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.inFlight >= w.cfg.MaxInFlight {
		return nil, false
	}
	p := packer{cfg: w.cfg, busy: w.mu.busy, passed: keyLocks{}, taken: keyLocks{}}
	rest := w.mu.queue[:0]
	for i, g := range w.mu.queue {
		if p.full {
			rest = append(rest, w.mu.queue[i:]...)
			break
		}
		if !p.add(g) {
			rest = append(rest, g)
			continue
		}
		if g.set && w.mu.latest[g.ops[0].Key] == g {
			delete(w.mu.latest, g.ops[0].Key)
		}
	}
	clear(w.mu.queue[len(rest):])
	w.mu.queue = rest
	w.metrics.queued.Set(float64(len(rest)))
	for _, g := range p.pack {
		w.mu.busy.take(g)
	}
	if len(p.pack) > 0 {
		w.mu.inFlight++
	}
	return p.pack, w.mu.closed && len(rest) == 0
}

// maxPassed is how many groups that have to wait the packer looks behind.
const maxPassed = 1024

// packer gathers groups into one transaction.
type packer struct {
	cfg    WriterConfig
	busy   keyLocks // of transactions under way
	passed keyLocks // of groups that were passed over, and so come first
	taken  keyLocks // of the groups in the pack
	mods   map[string]Revision
	pack   []*group
	behind int // how many were passed over
	ops    int
	guards int
	bytes  int
	full   bool
}

// add takes a group into the pack if it may go now. A group for which there is
// no room ends the pack, so that it comes first in the next.
func (p *packer) add(g *group) bool {
	if !p.busy.free(g) || !p.passed.free(g) || !p.taken.free(g) || !p.agrees(g) {
		p.passed.take(g)
		p.behind++
		p.full = p.behind >= maxPassed
		return false
	}
	if len(p.pack) > 0 && (p.ops+len(g.ops) > p.cfg.MaxOps ||
		p.guards+len(g.guards) > p.cfg.MaxOps || p.bytes+g.size > p.cfg.MaxBytes) {
		p.full = true
		return false
	}
	p.taken.take(g)
	p.pack = append(p.pack, g)
	p.ops, p.guards, p.bytes = p.ops+len(g.ops), p.guards+len(g.guards), p.bytes+g.size
	return true
}

// agrees reports whether the group's guards ask the same of a key as those in the
// pack: if not, one of them loses, and had better not take the others along.
func (p *packer) agrees(g *group) bool {
	for _, gd := range g.guards {
		if mod, ok := p.mods[gd.Key]; ok && mod != gd.Mod {
			return false
		}
	}
	if p.mods == nil {
		p.mods = map[string]Revision{}
	}
	for _, gd := range g.guards {
		p.mods[gd.Key] = gd.Mod
	}
	return true
}
