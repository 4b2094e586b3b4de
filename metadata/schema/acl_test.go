package schema

import (
	"strings"
	"testing"

	"varve/auth/acl"
	"varve/internal/workbound"
)

var sampleBinding = acl.Binding{Type: acl.Topic, Pattern: acl.Prefixed, Name: "a/b ü", Principal: "User:CN=x,O=y/z", Host: "10.0.0.1", Operation: acl.Read, Permission: acl.Deny}

// A key has one binding and a binding one key; a key that isn't of that form has none.
func TestACLKeys(t *testing.T) {
	good := ACLKey(sampleBinding)
	if b, err := ParseACLKey(good); err != nil || b != sampleBinding {
		t.Errorf("%s is %+v, %v", good, b, err)
	}
	for _, key := range []string{"acls/", good + "/", strings.Replace(good, "/3/2", "/03/2", 1), strings.Replace(good, "/3/2", "/3/9", 1), strings.Replace(good, "/3/2", "/300/2", 1),
		strings.Replace(good, "%2F", "%2f", 1), strings.Replace(good, "10.0.0.1", "", 1), strings.Replace(good, "User:", "User", 1), strings.Replace(good, "10.0.0.1", "%zz", 1)} {
		if b, err := ParseACLKey(key); err == nil {
			t.Errorf("%s is %+v", key, b)
		}
	}
}

func FuzzACLKey(f *testing.F) {
	f.Add(ACLKey(sampleBinding))
	f.Add(PrefixACLs + "4/3/kafka-cluster/User:%2A/%2A/2/3")
	f.Fuzz(func(t *testing.T, key string) {
		var b acl.Binding
		var err error
		workbound.Check(t, len(key), func() { b, err = ParseACLKey(key) })
		if err == nil && ACLKey(b) != key {
			t.Fatalf("%q is of %+v, whose key is %q", key, b, ACLKey(b))
		}
	})
}
