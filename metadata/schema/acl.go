package schema

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"varve/auth/acl"
	"varve/internal/wire"
)

// ACL is who made a binding, and when. The binding is the key: that it is there is what
// counts.
type ACL struct {
	By      string // a principal
	Created time.Time
}

// Encode writes the value.
func (a ACL) Encode() []byte {
	b := wire.AppendString([]byte{1}, a.By)
	return binary.AppendVarint(b, a.Created.UnixMilli())
}

// DecodeACL reads what Encode writes.
func DecodeACL(b []byte) (a ACL, err error) {
	err = decode("acl", 1, b, func(r *wire.Reader) {
		a.By = r.String()
		a.Created = time.UnixMilli(r.Varint())
	})
	return a, err
}

// ACLKey is the key of a binding: its fields, in the order of the struct, with Kafka's
// numbers.
func ACLKey(b acl.Binding) string {
	return fmt.Sprintf("%s%d/%d/%s/%s/%s/%d/%d", PrefixACLs, b.Type, b.Pattern, escape(b.Name), escape(b.Principal), escape(b.Host), b.Operation, b.Permission)
}

// ParseACLKey takes an ACLKey apart. A binding that isn't valid has no key.
func ParseACLKey(key string) (b acl.Binding, err error) {
	parts := strings.Split(strings.TrimPrefix(key, PrefixACLs), "/")
	if len(parts) != 7 {
		return b, &KeyError{key}
	}
	var numbers [4]uint8
	for i, at := range [...]int{0, 1, 5, 6} {
		n, err := strconv.ParseUint(parts[at], 10, 8)
		if err != nil {
			return b, &KeyError{key}
		}
		numbers[i] = uint8(n)
	}
	var texts [3]string
	for i := range texts {
		if texts[i], err = unescape(parts[i+2], ""); err != nil {
			return b, &KeyError{key}
		}
	}
	b = acl.Binding{Type: acl.ResourceType(numbers[0]), Pattern: acl.PatternType(numbers[1]), Name: texts[0], Principal: texts[1], Host: texts[2],
		Operation: acl.Operation(numbers[2]), Permission: acl.Permission(numbers[3])}
	if b.Validate() != nil || ACLKey(b) != key {
		return acl.Binding{}, &KeyError{key}
	}
	return b, nil
}
