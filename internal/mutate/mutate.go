// Package mutate breaks the product on purpose, in a build made for that, so that the
// simulation can prove that it notices.
//
// A mutation is a switch in the product's code. An ordinary build compiles it away: On
// is the constant false. A build with the tag "mutate" turns on the one that the
// environment variable VARVE_MUTATION names.
package mutate

// Mutation names a rule that a mutant doesn't keep.
type Mutation string

const (
	SkipFence      Mutation = "skip the fence"                   // a member takes appends of a fenced writer
	AckBelowQuorum Mutation = "acknowledge at Q-1"               // one durable copy too few is enough
	AckBeforeSync  Mutation = "acknowledge before the sync"      // followers report what is only written
	TrimUntiered   Mutation = "trim before commit"               // the journal ends at what the tier will hold
	UnguardedHeads Mutation = "commit heads unguarded"           // a replaced owner overwrites a head
	TrustLease     Mutation = "trust the lease"                  // an owner whose session ended counts as dead
	CountWiped     Mutation = "count a wiped store as an answer" // a member that lost its disk counts for the fence
	ForgetChain    Mutation = "forget the chain's order"         // the tails of early owners are skipped
	SealUncopied   Mutation = "seal before copying"              // a journal is sealed with fewer than Q copies
)
