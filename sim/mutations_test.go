package sim

import (
	"os"
	"regexp"
	"sync"
	"testing"

	"varve/internal/mutate"
)

// mutation is a way to break the product that the checker has to see.
type mutation struct {
	on    mutate.Mutation
	from  uint64 // the first seed to be tried: where it was caught when this was written
	quick bool   // a part of every test run
}

// mutationRuns is within how many seeds a mutation has to be caught.
const mutationRuns = 1600

// rare are mutations that take more seeds, and so long that they are only tried when
// asked for: what they take away is mostly made up for by something else.
var rare = map[mutate.Mutation]uint64{
	// An owner goes on when it finds an older epoch's head in place of its own, and
	// writes its own again.
	mutate.UnguardedHeads: 4000,
}

var mutations = []mutation{
	{mutate.SkipFence, 995, false},
	{mutate.AckBelowQuorum, 1, true},
	{mutate.AckBeforeSync, 19, false},
	{mutate.TrimUntiered, 9, false},
	{mutate.UnguardedHeads, 1, false},
	{mutate.TrustLease, 1, true},
	{mutate.CountWiped, 188, false},
	{mutate.ForgetChain, 15, false},
	{mutate.SealUncopied, 1058, false},
	{mutate.KeepDecisions, 1, true},
	{mutate.OneForAll, 1, false},
	{mutate.KeepWaiting, 1, false},
	{mutate.MissACLs, 1, false},
	{mutate.MissUsers, 1, false},
	{mutate.KeepOld, 1, false},
	{mutate.IgnoreExpiry, 1, false},
	{mutate.StayLoggedIn, 1, false},
	{mutate.KeepTokens, 1, false},
	{mutate.AckUnstored, 1, false},
	{mutate.FinalizeAtOnce, 246, false},
	{mutate.RegisterUnguarded, 706, false},
	{mutate.JoinPrepared, 246, false},
}

// TestMutations: each way to break the protocol is caught within a bounded number of
// seeds, by a seed that passes with the product as it is. The quick ones always run;
// VARVE_SIM_MUTATIONS=1 runs all but the rare ones, VARVE_SIM_MUTATIONS=all all.
func TestMutations(t *testing.T) {
	asked := os.Getenv("VARVE_SIM_MUTATIONS")
	bin := build(t, "mutate")
	for _, m := range mutations {
		runs := uint64(mutationRuns)
		if n, ok := rare[m.on]; ok {
			runs = n
		}
		if asked == "" && !m.quick || asked != "all" && runs > mutationRuns {
			continue
		}
		t.Run(string(m.on), func(t *testing.T) {
			var mu sync.Mutex
			caught, played := "", 0
			each(m.from, runs, func(seed uint64) bool {
				verdict := catch(bin, m.on, seed)
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

var promised = regexp.MustCompile(`^(promise [123]|security|levels):`)

// catch returns the promise that a mutant breaks at a seed at which the product keeps it.
func catch(bin string, m mutate.Mutation, seed uint64) string {
	out, err := play(bin, seed, "VARVE_MUTATION="+string(m))
	if err == nil || !promised.MatchString(verdict(out)) {
		return ""
	}
	if _, err := play(bin, seed); err != nil {
		return ""
	}
	return verdict(out)
}
