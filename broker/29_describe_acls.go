// DescribeACLs, versions 1 to 3: 1 prefixed patterns (KIP-290), 3 user resources
// (KIP-373).

package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// noAuthorizer is Kafka's text where none is configured. Tools that copy or show ACLs
// look for its code, SECURITY_DISABLED, and go on without.
var noAuthorizer = "No Authorizer is configured."

func describeACLs(_ context.Context, _ *caller, req *kmsg.DescribeACLsRequest) *kmsg.DescribeACLsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
	resp.ErrorCode, resp.ErrorMessage = kerr.SecurityDisabled.Code, &noAuthorizer
	return resp
}
