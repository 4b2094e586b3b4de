// Package quota limits how much clients may use, as Kafka's client quotas do: by user, by
// client id, by both and by address, with defaults for each.
//
// It promises that which quota holds for a client follows from the set of quotas alone, that
// rates and waits are computed as by Kafka, and that whatever names clients give themselves, a
// bounded number of rates is measured. It neither stores quotas nor knows who a client is, and
// it makes no client wait.
package quota

import (
	"fmt"
	"net/netip"
	"strings"
)

// Type names a part of an entity, in Kafka's words.
type Type string

// The parts of entities.
const (
	User     Type = "user"
	ClientID Type = "client-id"
	IP       Type = "ip"
)

// Types lists the parts of entities in their order.
func Types() []Type { return []Type{User, ClientID, IP} }

// Part is one part of an entity. The zero Part isn't there.
type Part struct {
	There bool
	Name  string // empty is the default: all that have no quota of their own
}

// Named returns the part of a name.
func Named(name string) Part { return Part{true, name} }

// Default returns the part of all that have no quota of their own.
func Default() Part { return Part{There: true} }

// Entity is what has quotas. Entities are comparable.
type Entity struct {
	User     Part
	ClientID Part
	IP       Part
}

// Part returns a part of the entity, to be read or set, or nil if there is none of that type.
func (e *Entity) Part(of Type) *Part {
	switch of {
	case User:
		return &e.User
	case ClientID:
		return &e.ClientID
	case IP:
		return &e.IP
	}
	return nil
}

// String returns the parts of the entity, as "user=alice client-id=<default>".
func (e Entity) String() string {
	var parts []string
	for _, of := range Types() {
		p := e.Part(of)
		switch {
		case p.There && p.Name == "":
			parts = append(parts, string(of)+"=<default>")
		case p.There:
			parts = append(parts, string(of)+"="+p.Name)
		}
	}
	return strings.Join(parts, " ")
}

// InvalidError is why an entity or a quota is refused, in Kafka's words where it has some.
type InvalidError struct{ text string }

func (e *InvalidError) Error() string { return e.text }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }

// MaxName is how long a name in an entity may be, in bytes.
const MaxName = 1024

// Validate returns why an entity can't have quotas, an InvalidError. An address must be written
// as Address returns it.
func (e *Entity) Validate() error {
	switch {
	case e.IP.There && (e.User.There || e.ClientID.There):
		return invalid("Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId")
	case *e == Entity{}:
		return invalid("Invalid empty client quota entity")
	case e.IP.Name != "":
		if a, ok := Address(e.IP.Name); !ok || a != e.IP.Name {
			return invalid("%s is not a valid IP or resolvable host.", e.IP.Name)
		}
	}
	for _, of := range Types() {
		if n := len(e.Part(of).Name); n > MaxName {
			return invalid("A %s of %d bytes is longer than %d", of, n, MaxName)
		}
	}
	return nil
}

// Address returns an IP address in the one form in which it is compared.
func Address(ip string) (string, bool) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "", false
	}
	return a.Unmap().String(), true
}
