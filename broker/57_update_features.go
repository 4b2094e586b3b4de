// UpdateFeatures, versions 0 to 2: 1 kinds of upgrade, and asking without changing anything
// (KIP-778), 2 one result for all (KIP-584).

package broker

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
)

// levelFeature is the feature whose version is the cluster's level.
const levelFeature = "varve.version"

// featureAPIs serve the requests about features.
type featureAPIs struct {
	table  apiTable
	view   *cluster.View
	editor *cluster.Editor
	audit  *slog.Logger
}

// The kinds of upgrade.
const (
	upgradeOnly     = 1
	safeDowngrade   = 2
	unsafeDowngrade = 3
)

// updateFeatures makes all of the changes, or none. As there is one feature, it makes one.
func (api *featureAPIs) updateFeatures(ctx context.Context, c *caller, req *kmsg.UpdateFeaturesRequest) *kmsg.UpdateFeaturesResponse {
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	ctx, cancel := patience(ctx, req.TimeoutMillis)
	defer cancel()
	failed := c.check(opAlter, onCluster, theCluster)
	seen := map[string]bool{}
	for i := range req.FeatureUpdates {
		u := &req.FeatureUpdates[i]
		if failed == nil && seen[u.Feature] {
			failed = refuse(kerr.InvalidRequest, "Feature %s is named twice.", short(u.Feature))
		}
		seen[u.Feature] = true
		if req.Version == 0 {
			u.UpgradeType = upgradeOnly
			if u.AllowDowngrade {
				u.UpgradeType = safeDowngrade
			}
		}
		if failed == nil {
			failed = api.checkUpdate(u)
		}
	}
	if failed == nil && len(req.FeatureUpdates) > 0 {
		failed = api.raise(ctx, c, uint8(req.FeatureUpdates[0].MaxVersionLevel), req.ValidateOnly)
	}
	if failed != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(failed).Code, said(failed)
		return resp
	}
	if req.Version <= 1 {
		for _, u := range req.FeatureUpdates {
			r := kmsg.NewUpdateFeaturesResponseResult()
			r.Feature = u.Feature
			resp.Results = append(resp.Results, r)
		}
	}
	return resp
}

// checkUpdate returns an error if the request alone shows that a change can't be made. Its texts are those of
// Kafka's FeatureControlManager, but for the cluster that can't go back and for what this broker knows.
func (api *featureAPIs) checkUpdate(u *kmsg.UpdateFeaturesRequestFeatureUpdate) error {
	now, _ := api.view.Levels.Cluster()
	bad := func(why string) error {
		return refuse(kerr.InvalidUpdateVersion, "Invalid update version %d for feature %s. %s", u.MaxVersionLevel, short(u.Feature), why)
	}
	known := api.view.Levels.Known
	switch to := u.MaxVersionLevel; {
	case u.UpgradeType < upgradeOnly || u.UpgradeType > unsafeDowngrade:
		return bad("The controller does not support the given upgrade type.")
	case to < 0:
		return bad("A feature version cannot be less than 0.")
	case u.Feature != levelFeature:
		return bad("This broker does not support this feature.")
	case to < int16(now.Level) && u.UpgradeType == upgradeOnly:
		return bad("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	case to < int16(now.Level):
		return bad("The cluster was finalized, and can't go back.")
	case to > int16(now.Level) && u.UpgradeType != upgradeOnly:
		return bad("Can't downgrade to a newer version.")
	case to > int16(known.Max):
		return bad("This broker knows " + known.String() + ".")
	}
	return nil
}

func (api *featureAPIs) raise(ctx context.Context, c *caller, to uint8, dryRun bool) error {
	from, err := api.editor.Finalize(ctx, to, dryRun)
	if err == nil && !dryRun && from != to {
		api.audit.Info("cluster finalized", "before", from, "level", to, c.attr())
	}
	return err
}
