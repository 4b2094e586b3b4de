package broker

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/acl"
	"varve/internal/golden"
)

// recorded is what Apache Kafka answered to principals with different rights.
type recorded struct {
	SuperUsers []string `json:"super_users"`
	Topics     map[string]string
	ACLs       []struct {
		Type, Pattern, Operation, Permission uint8
		Name, Principal                      string
	}
	Requests []struct {
		Name         string
		Key, Version int16
		Body         string
		Answers      []struct { // as summary makes them, a line for each part
			As     []string
			Answer string
		}
	}
}

// TestRightsAreKafkas sends requests that were sent to Apache Kafka with its
// StandardAuthorizer, as the same principals with the same ACLs: a super user, one with
// rights on a prefix, a reader, a writer, one with prefixed and denied rights, one with all
// rights but some that are denied, and one that isn't authenticated. Each part of each
// answer has the same error code, shows the same names and the same authorized operations.
func TestRightsAreKafkas(t *testing.T) {
	var r recorded
	if err := json.Unmarshal([]byte(golden.Read(t, "testdata/kafka_acls.json")), &r); err != nil {
		t.Fatal(err)
	}
	withSecured(t, func(s *secured) {
		ids := map[string][]byte{}
		names := map[[16]byte]string{{0xee, 15: 1}: "unknown"}
		for _, name := range slices.Sorted(maps.Keys(r.Topics)) {
			at := s.topic(name)
			ids[name], names[at] = at[:], name
		}
		var bindings []acl.Binding
		for _, a := range r.ACLs {
			bindings = append(bindings, acl.Binding{Type: acl.ResourceType(a.Type), Pattern: acl.PatternType(a.Pattern), Name: a.Name, Principal: a.Principal, Host: acl.Wildcard,
				Operation: acl.Operation(a.Operation), Permission: acl.Permission(a.Permission)})
		}
		if err := s.editor.CreateACLs(s.Context(), "User:admin", bindings); err != nil {
			t.Fatal(err)
		}
		admin := s.connect("User:admin")
		for _, g := range []string{"deny.g", "own.g", "pre.g", "read.g"} {
			commit := kmsg.NewPtrOffsetCommitRequest()
			commit.Group, commit.Generation = g, -1
			for _, t := range []string{"deny.t", "open.t", "own.t", "pre.a", "pre.b", "read.t", "write.t", "zz.t"} {
				commit.Topics = append(commit.Topics, kmsg.OffsetCommitRequestTopic{Topic: t, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}})
			}
			admin.ask(8, commit)
		}
		clients := map[string]*connected{}
		answers := 0
		for _, req := range r.Requests {
			body, err := base64.StdEncoding.DecodeString(req.Body)
			if err != nil {
				t.Fatal(err)
			}
			for name, digits := range r.Topics {
				old, _ := hex.DecodeString(digits)
				body = bytes.ReplaceAll(body, old, ids[name])
			}
			want := map[string]string{}
			for _, a := range req.Answers {
				for _, p := range a.As {
					want[p] = a.Answer
				}
			}
			for _, p := range slices.Sorted(maps.Keys(want)) {
				if clients[p] == nil {
					clients[p] = s.connect("User:" + p)
				}
				got := []string{"closed"}
				if resp := clients[p].raw(req.Key, req.Version, body); resp != nil {
					got = summary(resp, names)
				} else {
					clients[p] = nil
				}
				answers++
				if got, want := comparable(req.Name, got), comparable(req.Name, strings.Split(want[p], "\n")); !slices.Equal(got, want) {
					t.Errorf("%s version %d as %s:\n%s", req.Name, req.Version, p, differing(got, want))
				}
				synctest.Wait()
			}
		}
		if answers < 700 {
			t.Errorf("only %d answers were compared", answers)
		}
	})
}

// otherwise has the requests, by the beginnings of their names, whose answers differ from
// Kafka's in what isn't about rights, and why. Of these only the parts that are refused for
// lack of rights are compared.
var otherwise = map[string]string{
	"Metadata that creates":                "a new topic is shown at once",
	"ElectLeaders of all":                  "topics that need no election are not named",
	"InitProducerID of a transactional id": "there are no transactions yet",
	"FindCoordinator of type 1":            "there are no transactions yet",
	"AlterConfigs":                         "an invalid name is an unknown topic, and a broker's settings can be replaced by none",
	"IncrementalAlterConfigs":              "an invalid name is an unknown topic",
	"CreateACLs of nonsense":               "INVALID_REQUEST always, where Kafka has UNKNOWN_SERVER_ERROR or closes the connection; also for an empty host and half a principal, which Kafka keeps",
}

// comparable returns what of an answer must be as Kafka's. A part that is named twice
// counts once: Kafka answers once for a topic that is to be created twice, and shows a
// binding to each filter that matches it.
func comparable(name string, lines []string) []string {
	lines = slices.Compact(slices.Sorted(slices.Values(lines)))
	for beginning := range otherwise {
		if strings.HasPrefix(name, beginning) {
			return slices.DeleteFunc(lines, func(l string) bool {
				return !slices.ContainsFunc([]string{"29", "30", "31", "53"}, func(code string) bool { return strings.HasSuffix(l, "ErrorCode="+code) })
			})
		}
	}
	return lines
}

// differing shows the lines that only one of two answers has.
func differing(got, want []string) string {
	var out strings.Builder
	for _, l := range got {
		if !slices.Contains(want, l) {
			out.WriteString("  got  " + l + "\n")
		}
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			out.WriteString("  want " + l + "\n")
		}
	}
	return out.String()
}
