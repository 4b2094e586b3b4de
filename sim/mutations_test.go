package sim

import (
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
)

// mutation is a way to break the product that the checker has to see.
type mutation struct {
	name  string
	from  uint64 // the first seed to be tried: where it was caught when this was written
	quick bool   // a part of every test run
	patch []patch
}

// mutationRuns is within how many seeds a mutation has to be caught.
const mutationRuns = 1600

// rare are mutations that take more seeds, and so long that they are only tried when
// asked for: what they take away is mostly made up for by something else.
var rare = map[string]uint64{
	// An owner goes on when it finds an older epoch's head in place of its own, and
	// writes its own again.
	"commit heads unguarded": 4000,
}

var mutations = []mutation{
	{"skip the fence", 278, false, []patch{
		{"wal/fence.go", "		m.fence = epoch\n		return nil\n", "		return nil\n"},
		{"wal/fence.go", "	if m.fence != epoch {\n", "	if false {\n"},
	}},
	{"acknowledge at Q-1", 1, true, []patch{
		{"wal/replica/journal.go", "return durable[len(durable)-quorum]", "return durable[len(durable)-quorum+1]"},
	}},
	{"acknowledge before the sync", 19, false, []patch{
		{"wal/follower.go", "		if err := u.file.f.Sync(); err != nil {\n", "		if err := error(nil); err != nil {\n"},
	}},
	{"trim before commit", 9, false, []patch{
		{"partition/commit.go", "p.mu.tail.needs(p.mu.head.TieredEnd, each)", "p.mu.tail.needs(p.mu.high, each)"},
	}},
	{"commit heads unguarded", 1, false, []patch{
		{"partition/commit.go", "p.deps.Heads.Write(ctx, []metadata.Guard{{Key: key, Mod: rev}}, metadata.Put(", "p.deps.Heads.Write(ctx, nil, metadata.Put("},
	}},
	{"trust the lease", 1, true, []patch{
		{"controller/assign.go", "o.Incarnation != 0 && !p.unsealed[o.Incarnation] && c.dead(", "o.Incarnation != 0 && c.dead("},
		{"controller/sealed.go", "if err != nil || rec.State != metadata.JournalSealed {", "if err != nil || rec.State == 0 {"},
		{"agent/adopt.go", "case t.rec.State != metadata.JournalSealed:", "case false:"},
	}},
	{"count a wiped store as an answer", 158, false, []patch{
		{"controller/recover.go", "		case a.err != nil:\n", "		case errors.Is(a.err, replica.ErrOtherStore):\n			held[a.store] = 0\n		case a.err != nil:\n"},
		{"controller/recover.go", "	\"varve/wal\"\n", "	\"varve/wal\"\n	\"varve/wal/replica\"\n"},
		{"controller/recover.go", "	if len(have) < enough {\n		return", "	if len(have) == 0 {\n		return"},
	}},
	{"forget the chain's order", 15, false, []patch{
		{"agent/adopt.go", "		for _, l := range c.head.Chain {\n			if l.Epoch == c.head.Epoch {", "		for _, l := range c.head.Chain[max(0, len(c.head.Chain)-2):] {\n			if l.Epoch == c.head.Epoch {"},
	}},
	{"seal before copying", 746, false, []patch{
		{"controller/recover.go", "c.complete(ctx, j, epoch, rec.Ensemble, held, q)", "c.complete(ctx, j, epoch, rec.Ensemble, held, 1)"},
	}},
}

// TestMutations: each way to break the protocol is caught within a bounded number of
// seeds, by a seed that passes with the product as it is. The quick ones always run;
// VARVE_SIM_MUTATIONS=1 runs all but the rare ones, VARVE_SIM_MUTATIONS=all all.
func TestMutations(t *testing.T) {
	asked := os.Getenv("VARVE_SIM_MUTATIONS")
	sound := build(t, "sound", exactly...)
	for _, m := range mutations {
		runs := uint64(mutationRuns)
		if n, ok := rare[m.name]; ok {
			runs = n
		}
		if asked == "" && !m.quick || asked != "all" && runs > mutationRuns {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			bin := build(t, "mutant", append(slices.Clone(exactly), m.patch...)...)
			var mu sync.Mutex
			caught, played := "", 0
			each(m.from, runs, func(seed uint64) bool {
				verdict := catch(bin, sound, seed)
				mu.Lock()
				defer mu.Unlock()
				played++
				if verdict != "" && caught == "" {
					caught = verdict
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

var promised = regexp.MustCompile(`^promise [123]:`)

// catch is the promise that a mutant breaks at a seed at which the product keeps it.
func catch(mutant, sound string, seed uint64) string {
	out, err := play(mutant, seed)
	if err == nil || !promised.MatchString(verdict(out)) {
		return ""
	}
	if _, err := play(sound, seed); err != nil {
		return ""
	}
	return verdict(out)
}
