package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"varve/internal/testserver"
)

// auditTopic is security.audit_topic in these tests.
const auditTopic = "audit"

// audited makes the settings of agents that ask for passwords, and write the audit log to a topic.
func audited(t *testing.T) func(config string) string {
	t.Helper()
	first := filepath.Join(t.TempDir(), "first-user")
	if err := os.WriteFile(first, []byte(firstUser), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(config string) string {
		config = strings.Replace(config, "- name: PLAINTEXT", "- name: CLIENTS", 1)
		config = strings.Replace(config, "\nhttp:", "\n    protocol: SASL_PLAINTEXT\n    sasl: {mechanisms: [SCRAM-SHA-256]}\nhttp_auth: none\nhttp:", 1)
		return config + fmt.Sprintf("security: {authorizer: acl, super_users: [\"User:admin\"], bootstrap_user_file: %s, audit_topic: %s}\n", first, auditTopic)
	}
}

// loggedIn returns a client of one agent, or of all.
func loggedIn(t *testing.T, user, password string, brokers ...string) *kgo.Client {
	t.Helper()
	s := scram.Auth{User: user, Pass: password}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.SASL(s.AsSha256Mechanism()), kgo.RetryTimeout(30*time.Second), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.ConsumeTopics(auditTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(300*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// auditRecord is one line in the topic.
type auditRecord struct {
	Time                                           time.Time
	Level, Msg, Part, User, Topic, Operation, Name string
	Client                                         struct{ Principal, Addr string }

	key, text string
}

// asLogged returns what tells a line from all others in these tests.
func (r *auditRecord) asLogged() string {
	return strings.Join([]string{r.key, r.Msg, r.User, r.Topic, r.Name, r.Client.Addr, strconv.FormatInt(r.Time.UnixMilli(), 10)}, " ")
}

// records reads the topic until enough says so.
func auditRecords(t *testing.T, cl *kgo.Client, enough func([]*auditRecord) error) (all []*auditRecord) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	for {
		err := enough(all)
		if err == nil {
			return all
		}
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("after %d records: %v", len(all), err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			a := &auditRecord{key: string(r.Key), text: string(r.Value)}
			if err := json.Unmarshal(r.Value, a); err != nil || a.Part != "audit" {
				t.Errorf("record %q: %v", r.Value, err)
			}
			all = append(all, a)
		})
	}
}

// auditAttr matches an attribute of a line of the log.
var auditAttr = regexp.MustCompile(`(\S+?)=("(?:[^"\\]|\\.)*"|\S*)`)

// auditLog returns the audit lines of an agent's log.
func (m *member) auditLog(t *testing.T) (all []*auditRecord) {
	t.Helper()
	for line := range strings.Lines(m.log.String()) {
		if !strings.Contains(line, " part=audit ") {
			continue
		}
		attrs := map[string]string{}
		for _, a := range auditAttr.FindAllStringSubmatch(line, -1) {
			v := a[2]
			if strings.HasPrefix(v, `"`) {
				var err error
				if v, err = strconv.Unquote(v); err != nil {
					t.Fatal(line, err)
				}
			}
			attrs[a[1]] = v
		}
		at, err := time.Parse(time.RFC3339Nano, attrs["time"])
		if err != nil {
			t.Fatal(line, err)
		}
		r := &auditRecord{Time: at, Level: attrs["level"], Msg: attrs["msg"], Part: "audit", User: attrs["user"], Topic: attrs["topic"], Name: attrs["name"], key: strconv.Itoa(m.id), text: line}
		r.Client.Addr = attrs["client.addr"]
		all = append(all, r)
	}
	return all
}

// createTopic asks this agent, and no other.
func createTopic(ctx context.Context, cl *kgo.Client, m *member, name string) error {
	r := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, -1
	r.Topics = append(r.Topics, topic)
	answer, err := cl.Broker(m.id).Request(ctx, r)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
}

// TestAuditTopic: what the agents' logs show of who did what is in the audit topic, of every agent, in
// its order, without secrets, also of the agent that logs warnings only; and nothing of it is lost
// with the agent that owns the topic's partition, nor at a stop.
func TestAuditTopic(t *testing.T) {
	t.Parallel()
	c := &cluster{t: t, etcd: testserver.Etcds(t, 1), minio: testserver.MinIO(t), edit: audited(t)}
	if err := c.minio.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	c.add()
	c.add()
	quiet := c.add("--log-level=warn")
	c.ready()
	name, password, _ := strings.Cut(firstUser, ":")
	admin := kadm.NewClient(loggedIn(t, name, password, strings.Split(c.brokers(), ",")...))

	// Each agent has something to say.
	const secret = "bob's secret"
	if _, err := admin.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "bob", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: secret}}); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.agents {
		wrong := loggedIn(t, fmt.Sprint("mallory-", m.id), "a wrong secret", m.kafka)
		if err := wrong.Ping(t.Context()); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("a wrong password at agent %d: %v", m.id, err)
		}
		bob := loggedIn(t, "bob", secret, m.kafka)
		poll(t, 30*time.Second, "bob", func() error { return bob.Ping(t.Context()) })
		if err := createTopic(t.Context(), bob, m, fmt.Sprint("bobs-", m.id)); err == nil {
			t.Errorf("bob created a topic at agent %d", m.id)
		}
	}
	reader := loggedIn(t, name, password, strings.Split(c.brokers(), ",")...)
	seen := auditRecords(t, reader, func(all []*auditRecord) error {
		missing := map[string]bool{"credential set by User:admin": true, "first user created": true}
		for _, m := range c.agents {
			missing[fmt.Sprintf("%d: authentication failed of mallory-%[1]d", m.id)] = true
			missing[fmt.Sprintf("%d: access denied CREATE", m.id)] = true
			missing[fmt.Sprintf("%d: authenticated as User:bob", m.id)] = true
		}
		for _, r := range all {
			delete(missing, fmt.Sprintf("%s: %s of %s", r.key, r.Msg, r.User))
			delete(missing, fmt.Sprintf("%s: %s %s", r.key, r.Msg, strings.ToUpper(r.Operation)))
			delete(missing, fmt.Sprintf("%s: %s as %s", r.key, r.Msg, r.Client.Principal))
			delete(missing, fmt.Sprintf("%s by %s", r.Msg, r.Client.Principal))
			delete(missing, r.Msg)
		}
		if len(missing) > 0 {
			return fmt.Errorf("no lines of: %v", slices.Sorted(maps.Keys(missing)))
		}
		return nil
	})
	for _, r := range seen {
		if strings.Contains(r.text, secret) || strings.Contains(r.text, password) || strings.Contains(r.text, "wrong secret") {
			t.Errorf("a secret: %s", r.text)
		}
	}
	for _, l := range quiet.auditLog(t) {
		if l.Level == "INFO" {
			t.Errorf("logged in spite of log.level: %s", l.text)
		}
	}

	// The owner dies while the others have much to say.
	meta, err := admin.Metadata(t.Context(), auditTopic)
	if err != nil {
		t.Fatal(err)
	}
	owner := c.agents[meta.Topics[auditTopic].Partitions[0].Leader-1]
	var living []*member
	for _, m := range c.agents {
		if m != owner {
			living = append(living, m)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	var mu sync.Mutex
	created := map[string]string{} // topics, and the agents that created them
	for _, m := range living {
		load.Go(func() {
			cl := loggedIn(t, name, password, m.kafka)
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("t-%d-%d", m.id, i)
				if err := createTopic(ctx, cl, m, name); err == nil {
					mu.Lock()
					created[name] = strconv.Itoa(m.id)
					mu.Unlock()
				}
			}
		})
	}
	more := func(n int) {
		mu.Lock()
		from := len(created)
		mu.Unlock()
		poll(t, 60*time.Second, "more topics", func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(created) < from+n {
				return fmt.Errorf("%d, %d wanted", len(created), from+n)
			}
			return nil
		})
	}
	more(40)
	owner.kill()
	more(40)
	c.awaitOwner(admin, owner)
	more(20)
	owner.start()
	leaves := living[0]
	more(20)
	leaves.stop()
	stop()
	load.Wait()
	t.Logf("agent %d was killed, agent %d stopped; %d topics were created", owner.id, leaves.id, len(created))

	fresh := loggedIn(t, name, password, owner.kafka, living[1].kafka)
	var missing []string
	all := auditRecords(t, fresh, func(all []*auditRecord) error {
		have, topics := map[string]bool{}, map[string]string{}
		for _, r := range all {
			have[r.asLogged()] = true
			if r.Msg == "topic created" {
				topics[r.Topic] = r.key
			}
		}
		missing = nil
		for _, m := range living {
			for _, l := range m.auditLog(t) {
				if !have[l.asLogged()] {
					missing = append(missing, l.text)
				}
			}
		}
		for name, by := range created {
			if topics[name] != by {
				missing = append(missing, fmt.Sprintf("creation of %s by %s is there of %q", name, by, topics[name]))
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("%d lines are missing, the first: %s", len(missing), missing[0])
		}
		return nil
	})
	// Topics were created by each agent one after another, and so are their lines.
	next, known := map[string]int{}, map[string]bool{}
	repeated := 0
	for _, r := range all {
		if known[r.key+r.text] {
			repeated++
			continue
		}
		known[r.key+r.text] = true
		if n, ok := strings.CutPrefix(r.Topic, "t-"+r.key+"-"); ok && r.Msg == "topic created" {
			i, err := strconv.Atoi(n)
			if err != nil || i < next[r.key] {
				t.Errorf("agent %s: topic %d, where %d or later should be: %s, %v", r.key, i, next[r.key], r.text, err)
			}
			next[r.key] = i + 1
		}
	}
	t.Logf("%d lines in the topic, %d of them repeated", len(all), repeated)
}

// awaitOwner waits until the audit topic has another leader.
func (c *cluster) awaitOwner(admin *kadm.Client, was *member) {
	c.t.Helper()
	poll(c.t, 60*time.Second, "another leader", func() error {
		meta, err := admin.Metadata(c.t.Context(), auditTopic)
		if err != nil {
			return err
		}
		p := meta.Topics[auditTopic].Partitions[0]
		if p.Err != nil || p.Leader < 0 || int(p.Leader) == was.id {
			return fmt.Errorf("led by %d, %v", p.Leader, p.Err)
		}
		return nil
	})
}
