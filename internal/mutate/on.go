//go:build mutate

package mutate

import "os"

var chosen = Mutation(os.Getenv("VARVE_MUTATION"))

// On reports whether a mutation is turned on.
func On(m Mutation) bool { return m == chosen }
