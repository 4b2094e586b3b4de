package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"varve/internal/tlsfile"
	"varve/metadata"
	"varve/s3store"
	"varve/tiering/marker"
)

// worst is the worst of the findings.
func worst(all []Finding) (f Finding) {
	return slices.MaxFunc(all, func(a, b Finding) int { return int(a.Level - b.Level) })
}

func TestVerdicts(t *testing.T) {
	ms := time.Millisecond
	fast := times{ms, ms, ms}
	good := metadata.EndpointState{Endpoint: "http://e1:2379", Version: "3.6.1", Leader: true, Size: 1 << 20, Quota: 8 << 30}
	change := func(f func(*metadata.EndpointState)) *etcdFacts {
		bad := good
		f(&bad)
		return &etcdFacts{Examination: metadata.Examination{Endpoints: []metadata.EndpointState{good, bad}}, writes: fast}
	}
	three := func(f *etcdFacts) *etcdFacts {
		f.Members = []metadata.MemberState{{Name: "a", Started: true}, {Name: "b", Started: true}, {Name: "c", Started: true}}
		return f
	}
	bucket := func(f *bucketFacts) []Finding { f.place = "b"; return f.judge("bucket") }
	cert := Certificate{Name: "listener SSL", Host: "h", Files: tlsfile.ServerFiles{Cert: "c.pem"}}
	for name, c := range map[string]struct {
		found []Finding
		level Level
		has   string
	}{
		"clock agrees":            {[]Finding{skewed("clock", "etcd's", -2*time.Second)}, OK, "agrees"},
		"clock ahead":             {[]Finding{skewed("clock", "etcd's", -9*time.Second)}, Warning, "9s ahead of etcd's"},
		"clock behind":            {[]Finding{skewed("clock", "etcd's", 20*time.Minute)}, Failure, "20m0s behind etcd's"},
		"few files":               {[]Finding{openFiles("files", 100, 0)}, Failure, "100"},
		"fewer than connections":  {[]Finding{openFiles("files", 5000, 11000)}, Warning, "11000"},
		"many files":              {[]Finding{openFiles("files", 65536, 11000)}, OK, ""},
		"no room":                 {[]Finding{room("disk", 1, 100, 2, 80, 10)}, Failure, "refused"},
		"little room":             {[]Finding{room("disk", 20, 100, 2, 80, 10)}, Warning, "more than there is"},
		"room with what it has":   {[]Finding{room("disk", 20, 100, 60, 80, 10)}, OK, ""},
		"slow syncs":              {[]Finding{(&measured{syncs: times{20 * ms, 20 * ms, 20 * ms}}).synced("disk")}, Warning, "20ms"},
		"stalling syncs":          {[]Finding{(&measured{syncs: times{ms, ms, ms, time.Second}}).synced("disk")}, Warning, "1s"},
		"no sync":                 {[]Finding{(&measured{}).synced("disk")}, Failure, ""},
		"slow disk":               {[]Finding{(&measured{stream: 1 << 20}).streamed("disk")}, Warning, "1.0 MB"},
		"etcd is well":            {three(change(func(*metadata.EndpointState) {})).judge("etcd"), OK, ""},
		"one server is away":      {three(change(func(e *metadata.EndpointState) { e.Err = errors.New("refused") })).judge("etcd"), Warning, "refused"},
		"no leader":               {three(change(func(e *metadata.EndpointState) { e.Leader = false })).judge("etcd"), Failure, "no leader"},
		"old etcd":                {three(change(func(e *metadata.EndpointState) { e.Version = "3.4.20" })).judge("etcd"), Failure, "3.4.20"},
		"mixed etcd":              {three(change(func(e *metadata.EndpointState) { e.Version = "3.5.20" })).judge("etcd"), Warning, "2 versions"},
		"full etcd":               {three(change(func(e *metadata.EndpointState) { e.Size = 7 << 30 })).judge("etcd"), Warning, "7.5 GB"},
		"full etcd, quota unsaid": {three(change(func(e *metadata.EndpointState) { e.Size, e.Quota = 2<<30, 0 })).judge("etcd"), Warning, "doesn't tell"},
		"slow etcd":               {three(&etcdFacts{Examination: metadata.Examination{Endpoints: []metadata.EndpointState{good}}, writes: times{50 * ms}}).judge("etcd"), Warning, "50ms"},
		"etcd denies":             {three(&etcdFacts{Examination: metadata.Examination{Endpoints: []metadata.EndpointState{good}}, writeErr: metadata.ErrDenied}).judge("etcd"), Failure, "denied"},
		"alarm":                   {(&etcdFacts{Examination: metadata.Examination{Endpoints: []metadata.EndpointState{good}, Alarms: []string{"NOSPACE of a"}}, writes: fast}).judge("etcd"), Failure, "NOSPACE"},
		"one etcd":                {(&etcdFacts{Examination: metadata.Examination{Members: []metadata.MemberState{{Name: "a", Started: true}}}}).voters("etcd"), Warning, "no failure"},
		"member never started":    {three(&etcdFacts{Examination: metadata.Examination{}}).voters("etcd"), OK, "1 may fail"},
		"bucket is well":          {bucket(&bucketFacts{small: ms}), OK, ""},
		"bucket denies":           {bucket(&bucketFacts{probeErr: s3store.ErrDenied}), Failure, ""},
		"bucket without deletes":  {bucket(&bucketFacts{probe: s3store.Report{Notes: []string{"no deletes"}}}), Warning, "no deletes"},
		"bucket without parts":    {bucket(&bucketFacts{partsErr: s3store.ErrUnsupported}), Failure, "write objects"},
		"bucket deletes":          {bucket(&bucketFacts{rules: s3store.Rules{Live: []string{"r"}}}), Failure, "lifecycle"},
		"bucket keeps":            {bucket(&bucketFacts{rules: s3store.Rules{Versioned: true}}), Warning, "noncurrent"},
		"slow bucket":             {bucket(&bucketFacts{small: 2 * time.Second}), Warning, "2s"},
		"own bucket":              {[]Finding{(&bucketFacts{marker: &marker.Marker{Cluster: "a"}}).belongs("bucket", "a", "")}, OK, ""},
		"new bucket":              {[]Finding{(&bucketFacts{}).belongs("bucket", "", "")}, OK, ""},
		"another's bucket":        {[]Finding{(&bucketFacts{marker: &marker.Marker{Cluster: "b"}}).belongs("bucket", "a", "")}, Failure, "cluster b"},
		"adopted bucket":          {[]Finding{(&bucketFacts{marker: &marker.Marker{Cluster: "b"}}).belongs("bucket", "a", "b")}, Warning, "takes it over"},
		"expired":                 {[]Finding{certificate("certificates", cert, "", -time.Hour)}, Failure, "expired"},
		"for another host":        {[]Finding{certificate("certificates", cert, "it is not for h", time.Hour)}, Failure, "not for h"},
		"expires soon":            {[]Finding{certificate("certificates", cert, "", 72*time.Hour)}, Warning, "3 days"},
		"one version":             {[]Finding{(&clusterFacts{}).versions("versions", "v1")}, OK, "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := worst(c.found)
			if f.Level != c.level || !strings.Contains(f.Text, c.has) {
				t.Errorf("%v %q, want %v with %q", f.Level, f.Text, c.level, c.has)
			}
			if f.Level != OK && f.Do == "" {
				t.Error("it doesn't say what to do")
			}
		})
	}
}

func TestFileSystems(t *testing.T) {
	for magic, want := range map[int64]Level{0x01021994: Failure, 0x6969: Failure, 0xff534d42: Failure, 0x794c7630: Warning, 0xef53: OK, 0x58465342: OK, 1: OK} {
		if name, misfit, level := fileSystemOf(magic); level != want || (misfit != "") != (want != OK) {
			t.Errorf("%x: %s, %q, %v", magic, name, misfit, level)
		}
	}
}
