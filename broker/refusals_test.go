package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A transactional producer is refused in words, and by old versions with the one code
// that librdkafka doesn't repeat itself after.
func TestTransactionalProducersAreRefusedForGood(t *testing.T) {
	withGroups(t, func(g *groupTest) {
		for version := int16(1); version <= 6; version++ {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = coordinatorTransaction, "x", []string{"x"}
			resp := call(g, version, req, g.findCoordinator)
			code, message, want := resp.ErrorCode, resp.ErrorMessage, kerr.TransactionalIDAuthorizationFailed
			if version >= 4 {
				code, message, want = resp.Coordinators[0].ErrorCode, resp.Coordinators[0].ErrorMessage, kerr.InvalidRequest
			}
			if code != want.Code || message == nil || *message != "transactions are not supported" {
				t.Errorf("version %d: code %d, %v", version, code, message)
			}
		}
	})
}

// Each ACL that is asked about has an answer: there is no authorizer.
func TestACLsAreAnsweredAsWithoutAuthorizer(t *testing.T) {
	create := kmsg.NewPtrCreateACLsRequest()
	create.Creations = make([]kmsg.CreateACLsRequestCreation, 2)
	remove := kmsg.NewPtrDeleteACLsRequest()
	remove.Filters = make([]kmsg.DeleteACLsRequestFilter, 3)
	off := &aclAPIs{}
	codes := []int16{off.describeACLs(t.Context(), nil, kmsg.NewPtrDescribeACLsRequest()).ErrorCode}
	for _, r := range off.createACLs(t.Context(), nil, create).Results {
		codes = append(codes, r.ErrorCode)
	}
	for _, r := range off.deleteACLs(t.Context(), nil, remove).Results {
		codes = append(codes, r.ErrorCode)
	}
	if len(codes) != 6 {
		t.Errorf("%d answers, want 6", len(codes))
	}
	for _, c := range codes {
		if c != kerr.SecurityDisabled.Code {
			t.Errorf("code %d", c)
		}
	}
}
