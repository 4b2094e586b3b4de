// ApiVersions, versions 0 to 4: 3 names of clients and features (KIP-511, KIP-584), 4
// features with a minimum of 0.

package broker

import (
	"context"
	"regexp"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientName is what a client may call itself (KIP-511).
var clientName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$`)

func (api *featureAPIs) apiVersions(_ context.Context, _ *caller, req *kmsg.ApiVersionsRequest) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	if req.Version >= 3 {
		if !clientName.MatchString(req.ClientSoftwareName) || !clientName.MatchString(req.ClientSoftwareVersion) {
			resp.ErrorCode = kerr.InvalidRequest.Code
			return resp
		}
	}
	resp.ApiKeys = api.table.versions()
	api.tell(resp)
	return resp
}

// tell adds the levels that this broker knows and the one that the cluster was finalized at.
func (api *featureAPIs) tell(resp *kmsg.ApiVersionsResponse) {
	known := kmsg.NewApiVersionsResponseSupportedFeature()
	known.Name, known.MinVersion, known.MaxVersion = levelFeature, int16(api.view.Levels.Known.Min), int16(api.view.Levels.Known.Max)
	resp.SupportedFeatures = append(resp.SupportedFeatures, known)
	c, mod := api.view.Levels.Cluster()
	if c.Level == 0 {
		return // it isn't known yet
	}
	now := kmsg.NewApiVersionsResponseFinalizedFeature()
	now.Name, now.MinVersionLevel, now.MaxVersionLevel = levelFeature, int16(c.Level), int16(c.Level)
	resp.FinalizedFeatures, resp.FinalizedFeaturesEpoch = append(resp.FinalizedFeatures, now), int64(mod)
}

// oldApiVersions answers a client that is newer than this broker: version 0, so
// that it can read the answer, with what is served (KIP-511).
func (t apiTable) oldApiVersions() kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	resp.ApiKeys = t.versions()
	return resp
}

func (t apiTable) versions() []kmsg.ApiVersionsResponseApiKey {
	var keys []kmsg.ApiVersionsResponseApiKey
	for _, a := range t.rows() {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = int16(a.key), a.min, a.max
		keys = append(keys, k)
	}
	return keys
}
