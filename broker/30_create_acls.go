// CreateACLs, versions 1 to 3: 1 prefixed patterns (KIP-290), 3 user resources (KIP-373).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func createACLs(_ context.Context, _ *caller, req *kmsg.CreateACLsRequest) *kmsg.CreateACLsResponse {
	resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
	for range req.Creations {
		r := kmsg.NewCreateACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = kerr.SecurityDisabled.Code, &noAuthorizer
		resp.Results = append(resp.Results, r)
	}
	return resp
}
