// ExpireDelegationToken, versions 1 to 2: 1 has a token expire at another time, or at once
// (KIP-48).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/metadata/schema"
)

func (api *tokenAPIs) expireDelegationToken(ctx context.Context, c *caller, req *kmsg.ExpireDelegationTokenRequest) *kmsg.ExpireDelegationTokenResponse {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.ExpireDelegationTokenResponse)
	expires, err := api.expire(ctx, c, req)
	resp.ExpiryTimestamp = expires.UnixMilli()
	if resp.ErrorCode, _ = coded(err); err != nil {
		resp.ExpiryTimestamp = timeOf(err)
	}
	return resp
}

// expire has a token expire; with a negative period it deletes it, also one that has expired.
func (api *tokenAPIs) expire(ctx context.Context, c *caller, req *kmsg.ExpireDelegationTokenRequest) (expires time.Time, err error) {
	id, err := api.shown(c, req.HMAC)
	if err != nil {
		return expires, err
	}
	err = api.editor.AlterToken(ctx, id, func(t *schema.Token) (bool, error) {
		now := time.Now()
		switch {
		case !t.MayRenew(c.principal):
			return true, kerr.DelegationTokenOwnerMismatch
		case req.ExpiryPeriodMillis < 0:
			expires = now
			return false, nil
		case t.Over(now):
			return true, kerr.DelegationTokenExpired
		}
		t.Times = t.Expire(now, req.ExpiryPeriodMillis)
		expires = t.Expires
		return true, nil
	})
	switch {
	case err != nil:
	case req.ExpiryPeriodMillis < 0:
		api.audit.Info("delegation token deleted", "token", id, c.attr())
	default:
		api.audit.Info("delegation token expires at another time", "token", id, "expires", expires, c.attr())
	}
	return expires, err
}
