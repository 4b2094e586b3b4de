package broker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// entityOf reads "user=a client-id=", where an empty name is the default.
func entityOf(text string) (e []kmsg.AlterClientQuotasRequestEntryEntity) {
	for _, part := range strings.Fields(text) {
		of, name, _ := strings.Cut(part, "=")
		n := kmsg.AlterClientQuotasRequestEntryEntity{Type: of, Name: &name}
		if name == "" {
			n.Name = nil
		}
		if name == `""` {
			n.Name = kmsg.StringPtr("")
		}
		e = append(e, n)
	}
	return e
}

// quotasOf makes an entry of a request. A value of 0 removes the quota.
func quotasOf(entity string, ops ...kmsg.AlterClientQuotasRequestEntryOp) kmsg.AlterClientQuotasRequestEntry {
	for i := range ops {
		ops[i].Remove = ops[i].Value == 0
	}
	return kmsg.AlterClientQuotasRequestEntry{Entity: entityOf(entity), Ops: ops}
}

func op(key string, value float64) kmsg.AlterClientQuotasRequestEntryOp {
	return kmsg.AlterClientQuotasRequestEntryOp{Key: key, Value: value}
}

// alterQuotas returns the errors of an alteration, "-" for none.
func (c *connected) alterQuotas(validateOnly bool, entries ...kmsg.AlterClientQuotasRequestEntry) (out []string) {
	c.s.Helper()
	resp := c.ask(1, &kmsg.AlterClientQuotasRequest{Entries: entries, ValidateOnly: validateOnly}).(*kmsg.AlterClientQuotasResponse)
	for _, e := range resp.Entries {
		out = append(out, answered(e.ErrorCode, e.ErrorMessage))
	}
	return out
}

// setQuota sets one.
func (s *secured) setQuota(entity, key string, value float64) {
	s.Helper()
	if got := s.connect("User:admin").alterQuotas(false, quotasOf(entity, op(key, value))); got[0] != "-" {
		s.Fatal(got)
	}
}

func (c *connected) describeQuotas(strict bool, components ...kmsg.DescribeClientQuotasRequestComponent) string {
	c.s.Helper()
	resp := c.ask(1, &kmsg.DescribeClientQuotasRequest{Strict: strict, Components: components}).(*kmsg.DescribeClientQuotasResponse)
	if resp.ErrorCode != 0 {
		return answered(resp.ErrorCode, resp.ErrorMessage)
	}
	var out []string
	for _, e := range resp.Entries {
		var parts []string
		for _, n := range e.Entity {
			name := ""
			if n.Name != nil {
				name = *n.Name
			}
			parts = append(parts, n.Type+"="+name)
		}
		for _, v := range e.Values {
			parts = append(parts, fmt.Sprintf("%s:%v", v.Key, v.Value))
		}
		out = append(out, strings.Join(parts, " "))
	}
	return strings.Join(out, ", ")
}

// Quotas are altered as by Kafka's ClientQuotaControlManager, each entity with an answer of its
// own, and described as by ClientQuotasImage.
func TestQuotasAreAlteredAndDescribed(t *testing.T) {
	withSecured(t, func(s *secured) {
		c := s.connect("User:admin")
		const bad = "INVALID_REQUEST: "
		for _, x := range []struct {
			entries []kmsg.AlterClientQuotasRequestEntry
			want    []string
		}{
			{[]kmsg.AlterClientQuotasRequestEntry{
				quotasOf("user=a", op("producer_byte_rate", 1000), op("consumer_byte_rate", 2000)),
				quotasOf("user=", op("request_percentage", 12.5)),
				quotasOf("client-id=c user=a", op("producer_byte_rate", 1)),
				quotasOf("ip=0:0:0:0:0:0:0:1", op("connection_creation_rate", 5)),
				quotasOf("client-id=", op("controller_mutation_rate", 0.5)),
				quotasOf("user=gone", op("producer_byte_rate", 0)),
				quotasOf("topic=t", op("producer_byte_rate", 1)),
				quotasOf(`user=""`, op("producer_byte_rate", 1)),
				quotasOf("", op("producer_byte_rate", 1)),
				quotasOf("user=b ip=::1", op("producer_byte_rate", 1)),
				quotasOf("ip=no.such.host", op("connection_creation_rate", 1)),
				quotasOf("user=b", op("x", 1)),
				quotasOf("user=b client-id=", op("producer_byte_rate", -1)),
				quotasOf("user=d", op("producer_byte_rate", 1), op("producer_byte_rate", 2)),
			}, []string{"-", "-", "-", "-", "-", "-", bad + "Unhandled client quota entity type: topic", bad + "Empty user not supported", bad + "Invalid empty client quota entity",
				bad + "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId", bad + "no.such.host is not a valid IP or resolvable host.",
				bad + "Invalid configuration key x", bad + "Quota producer_byte_rate must be greater than 0", bad + "Ignoring duplicate entity ClientQuotaEntity(entries={user=d})"}},
			{[]kmsg.AlterClientQuotasRequestEntry{quotasOf("user=e", op("producer_byte_rate", 7)), quotasOf("user=e", op("producer_byte_rate", 8))},
				[]string{bad + "Ignoring duplicate entity ClientQuotaEntity(entries={user=e})"}},
			{[]kmsg.AlterClientQuotasRequestEntry{quotasOf("user=a", op("consumer_byte_rate", 0), op("producer_byte_rate", 3000))}, []string{"-"}},
		} {
			if got := c.alterQuotas(false, x.entries...); fmt.Sprint(got) != fmt.Sprint(x.want) {
				t.Errorf("%q,\nwant %q", got, x.want)
			}
		}
		if got := c.alterQuotas(true, quotasOf("user=v", op("producer_byte_rate", 7)), quotasOf("user=v client-id=", op("x", 7))); got[0] != "-" || !strings.Contains(got[1], "Invalid configuration key") {
			t.Errorf("validated: %q", got)
		}
		part := func(of string, match kmsg.QuotasMatchType, name string) kmsg.DescribeClientQuotasRequestComponent {
			p := kmsg.DescribeClientQuotasRequestComponent{EntityType: of, MatchType: match}
			if name != "" {
				p.Match = &name
			}
			return p
		}
		for _, x := range []struct {
			strict bool
			parts  []kmsg.DescribeClientQuotasRequestComponent
			want   string
		}{
			{false, nil, "user= request_percentage:12.5, user=a producer_byte_rate:3000, user=a client-id=c producer_byte_rate:1, user=e producer_byte_rate:7, client-id= controller_mutation_rate:0.5, ip=::1 connection_creation_rate:5"},
			{true, []kmsg.DescribeClientQuotasRequestComponent{part("user", 0, "a")}, "user=a producer_byte_rate:3000"},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("client-id", 2, "")}, "user=a client-id=c producer_byte_rate:1, client-id= controller_mutation_rate:0.5"},
			{true, []kmsg.DescribeClientQuotasRequestComponent{part("user", 1, "")}, "user= request_percentage:12.5"},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("ip", 0, "::0001")}, "ip=::1 connection_creation_rate:5"},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("", 1, "")}, bad + "Invalid empty entity type."},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("topic", 1, "")}, "UNSUPPORTED_VERSION: Unsupported entity type topic"},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("user", 1, ""), part("user", 2, "")}, bad + "Entity type user cannot appear more than once in the filter."},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("user", 0, "")}, bad + "Request specified MATCH_TYPE_EXACT, but set match string to null."},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("user", 1, "a")}, bad + "Request specified MATCH_TYPE_DEFAULT, but also specified a match string."},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("user", 2, "a")}, bad + "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string."},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("user", 3, "")}, bad + "Unknown match type 3"},
			{false, []kmsg.DescribeClientQuotasRequestComponent{part("user", 1, ""), part("ip", 2, "")}, bad + "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component."},
		} {
			if got := c.describeQuotas(x.strict, x.parts...); got != x.want {
				t.Errorf("%+v: %s,\nwant %s", x.parts, got, x.want)
			}
		}
		log := strings.Join(s.audit.taken(), "")
		if strings.Count(log, "quotas changed") != 8 || !strings.Contains(log, `entity="user=a" set="producer_byte_rate=3000" removed=consumer_byte_rate client.principal=User:admin`) {
			t.Errorf("the audit log:\n%s", log)
		}
	})
}
