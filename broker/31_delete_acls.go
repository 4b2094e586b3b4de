// DeleteACLs, versions 1 to 3: 1 prefixed patterns (KIP-290), 3 user resources (KIP-373).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func deleteACLs(_ context.Context, _ *caller, req *kmsg.DeleteACLsRequest) *kmsg.DeleteACLsResponse {
	resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
	for range req.Filters {
		r := kmsg.NewDeleteACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = kerr.SecurityDisabled.Code, &noAuthorizer
		resp.Results = append(resp.Results, r)
	}
	return resp
}
