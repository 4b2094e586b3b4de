package broker

import (
	"log/slog"

	"varve/auth/sasl"
	"varve/cluster"
	"varve/metadata/schema"
)

// userAPIs serve the APIs of users.
type userAPIs struct {
	users  *cluster.Users
	editor *cluster.Editor
	audit  *slog.Logger
}

// scramMechanisms are Kafka's numbers of the mechanisms.
var scramMechanisms = map[string]schema.ScramMechanism{sasl.ScramSHA256: schema.ScramSHA256, sasl.ScramSHA512: schema.ScramSHA512}

// nameOf returns the name of a mechanism, "" if there is none.
func nameOf(m schema.ScramMechanism) string {
	for name, number := range scramMechanisms {
		if number == m {
			return name
		}
	}
	return ""
}

// credentials finds those of users for SASL.
func credentials(users *cluster.Users) func(user, mechanism string) (sasl.Credential, bool) {
	return func(user, mechanism string) (sasl.Credential, bool) {
		u, _ := users.Get(user)
		c, ok := u.Scram[scramMechanisms[mechanism]]
		return sasl.Credential{Iterations: int(c.Iterations), Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey}, ok
	}
}
