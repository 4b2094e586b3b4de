package broker

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Changes of topics and settings are in the audit log, with who made them; what was only checked
// or refused isn't.
func TestChangesAreAudited(t *testing.T) {
	withSecured(t, func(s *secured) {
		s.topic("t")
		admin := s.connect("User:admin")
		s.audit.taken()
		text := kmsg.StringPtr
		alter := func(principal string, validateOnly bool, value string) {
			r := kmsg.NewPtrIncrementalAlterConfigsRequest()
			r.ValidateOnly = validateOnly
			r.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t",
				Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: text(value)}}}}
			s.connect(principal).ask(1, r)
		}
		for _, c := range []struct {
			what string
			do   func()
			says []string // none: no line
		}{
			{"a change that is only checked", func() { alter("User:admin", true, "1000") }, nil},
			{"a change that is wrong", func() { alter("User:admin", false, "-2") }, nil},
			{"a change", func() { alter("User:admin", false, "1000") }, []string{`msg="settings changed"`, "of=topic", "name=t", `"retention.ms: default -> 1000"`, "client.principal=User:admin", "client.addr=10.0.0.1:5"}},
			{"another one", func() { alter("User:admin", false, "2000") }, []string{`"retention.ms: 1000 -> 2000"`}},
			{"a change that isn't allowed", func() { alter("User:nobody", false, "3000") }, []string{"access denied"}},
			{"more partitions", func() {
				admin.ask(3, &kmsg.CreatePartitionsRequest{Topics: []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 3}}, TimeoutMillis: 1000})
			}, []string{`msg="partitions added"`, "topic=t", "before=1", "partitions=3", "client.principal=User:admin"}},
			{"a topic", func() {
				admin.ask(7, &kmsg.CreateTopicsRequest{Topics: []kmsg.CreateTopicsRequestTopic{{Topic: "u", NumPartitions: 1, ReplicationFactor: 1}}, TimeoutMillis: 1000})
			}, []string{`msg="topic created"`, "topic=u", "client.principal=User:admin"}},
			{"its end", func() { admin.ask(5, &kmsg.DeleteTopicsRequest{TopicNames: []string{"u"}, TimeoutMillis: 1000}) }, []string{`msg="topic deleted"`, "topic=u", "client.principal=User:admin"}},
		} {
			c.do()
			got := strings.Join(s.audit.taken(), "")
			if (got == "") != (len(c.says) == 0) {
				t.Errorf("%s: %q", c.what, got)
			}
			for _, want := range c.says {
				if !strings.Contains(got, want) {
					t.Errorf("%s: %q lacks %q", c.what, got, want)
				}
			}
		}
	})
}
