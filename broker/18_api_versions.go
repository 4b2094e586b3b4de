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

func (t apiTable) apiVersions(_ context.Context, _ *caller, req *kmsg.ApiVersionsRequest) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	if req.Version >= 3 {
		if !clientName.MatchString(req.ClientSoftwareName) || !clientName.MatchString(req.ClientSoftwareVersion) {
			resp.ErrorCode = kerr.InvalidRequest.Code
			return resp
		}
	}
	resp.ApiKeys = t.versions()
	return resp
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
