//go:build !mutate

package mutate

// On reports whether a mutation is turned on.
func On(Mutation) bool { return false }
