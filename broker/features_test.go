package broker

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/metadata/schema"
)

// ApiVersions tells which levels the broker knows and which one the cluster is at; UpdateFeatures
// raises it, with Kafka's errors for what makes no sense.
func TestFeatures(t *testing.T) {
	withSecured(t, func(s *secured) {
		c := s.connect("User:admin")
		told := func() (known, level [2]int16) {
			resp := c.ask(4, &kmsg.ApiVersionsRequest{ClientSoftwareName: "test", ClientSoftwareVersion: "1"}).(*kmsg.ApiVersionsResponse)
			if len(resp.SupportedFeatures) != 1 || resp.SupportedFeatures[0].Name != "varve.version" || len(resp.FinalizedFeatures) != 1 || resp.FinalizedFeatures[0].Name != "varve.version" || resp.FinalizedFeaturesEpoch <= 0 {
				t.Fatalf("%+v", resp)
			}
			return [2]int16{resp.SupportedFeatures[0].MinVersion, resp.SupportedFeatures[0].MaxVersion}, [2]int16{resp.FinalizedFeatures[0].MinVersionLevel, resp.FinalizedFeatures[0].MaxVersionLevel}
		}
		if known, level := told(); known != [2]int16{schema.OldestLevel, schema.NewestLevel} || level != [2]int16{3, 3} {
			t.Errorf("known %v, level %v", known, level)
		}
		update := func(version int16, validate bool, updates ...kmsg.UpdateFeaturesRequestFeatureUpdate) *kmsg.UpdateFeaturesResponse {
			return c.ask(version, &kmsg.UpdateFeaturesRequest{FeatureUpdates: updates, ValidateOnly: validate}).(*kmsg.UpdateFeaturesResponse)
		}
		to := func(level int16, kind int8) kmsg.UpdateFeaturesRequestFeatureUpdate {
			return kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: levelFeature, MaxVersionLevel: level, UpgradeType: kind}
		}
		other := to(1, 1)
		other.Feature = "metadata.version"
		refused := func(resp *kmsg.UpdateFeaturesResponse, code *kerr.Error, text string) {
			t.Helper()
			if resp.ErrorCode != code.Code || resp.ErrorMessage == nil || !strings.Contains(*resp.ErrorMessage, text) || len(resp.Results) != 0 {
				t.Errorf("%+v, want %v and %q", resp, code, text)
			}
		}
		bad := kerr.InvalidUpdateVersion
		refused(update(2, false, to(5, 1)), bad, "knows 3 to 4")
		refused(update(2, false, to(-1, 1)), bad, "less than 0")
		refused(update(2, false, to(2, 1)), bad, "without setting the upgrade type")
		refused(update(2, false, to(0, 3)), bad, "can't go back")
		refused(update(2, false, to(4, 2)), bad, "Can't downgrade to a newer version.")
		refused(update(2, false, to(4, 0)), bad, "does not support the given upgrade type")
		refused(update(2, false, to(4, 1), other), bad, "feature metadata.version. This broker does not support this feature.")
		refused(update(2, false, to(4, 1), to(4, 1)), kerr.InvalidRequest, "twice")
		refused(update(0, false, kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: levelFeature, MaxVersionLevel: 1, AllowDowngrade: true}), bad, "can't go back")
		if resp := update(2, true, to(4, 1)); resp.ErrorCode != 0 {
			t.Errorf("%+v", resp)
		}
		if _, level := told(); level != [2]int16{3, 3} {
			t.Errorf("asking changed the level to %v", level)
		}
		s.audit.taken()
		if resp := update(1, false, to(4, 1)); resp.ErrorCode != 0 || len(resp.Results) != 1 || resp.Results[0].Feature != levelFeature || resp.Results[0].ErrorCode != 0 {
			t.Errorf("%+v", resp)
		}
		if _, level := told(); level != [2]int16{4, 4} {
			t.Errorf("the level is %v", level)
		}
		if lines := strings.Join(s.audit.taken(), "\n"); !strings.Contains(lines, `msg="cluster finalized" before=3 level=4`) || !strings.Contains(lines, "User:admin") {
			t.Errorf("audited: %s", lines)
		}
		if resp := update(2, false, to(4, 1)); resp.ErrorCode != 0 {
			t.Errorf("the level that it is at: %+v", resp)
		}
	})
}
