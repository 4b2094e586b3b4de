package sim

import (
	"os"
	"regexp"
	"sync"
	"testing"
)

// mutation is a way to break the product that the checker has to see.
type mutation struct {
	name  string
	runs  uint64 // within how many seeds it has to be caught
	as    string // what the verdict has to match
	patch []patch
}

const broken = `promise [123]:`

var mutations = []mutation{
	{"skip the fence", 200, broken, []patch{
		{"wal/fence.go", "		m.fence = epoch\n		return nil\n", "		return nil\n"},
		{"wal/fence.go", "	if m.fence != epoch {\n", "	if false {\n"},
	}},
	{"acknowledge at Q-1", 100, broken, []patch{
		{"wal/replica/journal.go", "return durable[len(durable)-quorum]", "return durable[len(durable)-quorum+1]"},
	}},
	{"acknowledge before the sync", 200, broken, []patch{
		{"wal/follower.go", "		if err := u.file.f.Sync(); err != nil {\n", "		if err := error(nil); err != nil {\n"},
	}},
	{"trim before commit", 200, broken, []patch{
		{"partition/commit.go", "p.mu.tail.needs(p.mu.head.TieredEnd, each)", "p.mu.tail.needs(p.mu.high, each)"},
	}},
	{"commit heads unguarded", 200, broken, []patch{
		{"partition/commit.go", "p.deps.Heads.Write(ctx, []metadata.Guard{{Key: key, Mod: rev}}, metadata.Put(", "p.deps.Heads.Write(ctx, nil, metadata.Put("},
	}},
	{"trust the lease", 100, broken, []patch{
		{"controller/assign.go", "o.Incarnation != 0 && !p.unsealed[o.Incarnation] && c.dead(", "o.Incarnation != 0 && c.dead("},
		{"controller/sealed.go", "if err != nil || rec.State != metadata.JournalSealed {", "if err != nil || rec.State == 0 {"},
		{"agent/adopt.go", "case t.rec.State != metadata.JournalSealed:", "case false:"},
	}},
	{"count a wiped store as an answer", 400, broken, []patch{
		{"controller/recover.go", "		case a.err != nil:\n", "		case errors.Is(a.err, replica.ErrOtherStore):\n			held[a.store] = 0\n		case a.err != nil:\n"},
		{"controller/recover.go", "	\"varve/wal\"\n", "	\"varve/wal\"\n	\"varve/wal/replica\"\n"},
		{"controller/recover.go", "	for _, to := range lack {\n", "	whole = enough\n	for _, to := range lack {\n"},
	}},
	{"forget the chain's order", 200, broken, []patch{
		{"agent/adopt.go", "		for _, l := range c.head.Chain {\n			for _, t := range by[l.Writer] {", "		for _, l := range c.head.Chain[max(0, len(c.head.Chain)-2):] {\n			for _, t := range by[l.Writer] {"},
	}},
	{"seal before copying", 1000, broken, []patch{
		{"controller/recover.go", "c.complete(ctx, j, epoch, held, copies)", "c.complete(ctx, j, epoch, held, 1)"},
	}},
}

// TestMutations: each way to break the protocol is caught within a bounded number of
// seeds.
func TestMutations(t *testing.T) {
	if os.Getenv("VARVE_SIM_MUTATIONS") == "" {
		t.Skip("each needs a build of its own and up to hundreds of runs: 'make sim-mutations'")
	}
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			bin := build(t, "mutant", append(append([]patch(nil), exactly...), m.patch...)...)
			want := regexp.MustCompile(m.as)
			var mu sync.Mutex
			caught, played := "", 0
			each(1, m.runs, func(seed uint64) bool {
				out, err := play(bin, seed)
				mu.Lock()
				defer mu.Unlock()
				played++
				if err != nil && caught == "" && want.MatchString(verdict(out)) {
					caught = verdict(out)
					t.Logf("seed %d, after %d: %s", seed, played, caught)
				}
				return caught == ""
			})
			if caught == "" {
				t.Errorf("not caught in %d seeds", played)
			}
		})
	}
}
