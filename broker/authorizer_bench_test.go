package broker

import (
	"testing"

	"varve/auth/acl"
	"varve/cluster"
	"varve/metadata"
)

// BenchmarkAllowed is what one topic of a produce or fetch request costs: without ACLs, with
// a decision that the connection remembers, and with one that it makes anew.
func BenchmarkAllowed(b *testing.B) {
	view := cluster.NewView(metadata.NewMemory().Open(), nil)
	auth := newAuthorizer(&Deps{View: view, Security: Security{ACLs: true, SuperUsers: []string{"User:admin"}, AllowEveryone: true}}, newMetrics(nil))
	for _, x := range []struct {
		name   string
		rights *rights
		forget bool
	}{{"none", nil, false}, {"remembered", auth.rights(), false}, {"anew", auth.rights(), true}} {
		b.Run(x.name, func(b *testing.B) {
			c := &caller{principal: "User:a", host: "10.0.0.1", rights: x.rights}
			b.ReportAllocs()
			for b.Loop() {
				if !c.allowed(acl.Write, acl.Topic, "orders") {
					b.Fatal("denied")
				}
				if x.forget {
					clear(x.rights.mu.known)
				}
			}
		})
	}
}
