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

	KeepDecisions Mutation = "keep decisions after a change"              // a connection remembers what former rules decided
	OneForAll     Mutation = "decide for all resources at once"           // a decision about one topic counts for others
	KeepWaiting   Mutation = "answer a wait by the rules of its begin"    // a fetch that waited isn't decided again
	MissACLs      Mutation = "miss deletions of ACLs"                     // a view doesn't see them
	MissUsers     Mutation = "miss deletions of users"                    // a view doesn't see them
	KeepOld       Mutation = "keep what is gone when a watch begins anew" // a view only adds what it reads then
	IgnoreExpiry  Mutation = "go on after the end of a session"           // requests are served after it
	StayLoggedIn  Mutation = "stay logged in after a failed login"        // whoever fails to log in again goes on
	KeepTokens    Mutation = "let expired tokens log in"                  // the end of a delegation token doesn't count
	AckUnstored   Mutation = "acknowledge ACLs unstored"                  // an error of etcd is none

	FinalizeAtOnce    Mutation = "finalize at once"      // a level is raised that wasn't announced before
	RegisterUnguarded Mutation = "register unguarded"    // an agent comes by what it read of the level before
	JoinPrepared      Mutation = "join what is prepared" // an agent doesn't heed the level that is announced
)
