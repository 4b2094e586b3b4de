// RenewDelegationToken, versions 1 to 2: 1 has a token expire later (KIP-48).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/metadata/schema"
)

func (api *tokenAPIs) renewDelegationToken(ctx context.Context, c *caller, req *kmsg.RenewDelegationTokenRequest) *kmsg.RenewDelegationTokenResponse {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.RenewDelegationTokenResponse)
	expires, err := api.renew(ctx, c, req)
	resp.ExpiryTimestamp = expires.UnixMilli()
	if resp.ErrorCode, _ = coded(err); err != nil {
		resp.ExpiryTimestamp = timeOf(err)
	}
	return resp
}

func (api *tokenAPIs) renew(ctx context.Context, c *caller, req *kmsg.RenewDelegationTokenRequest) (expires time.Time, err error) {
	id, err := api.shown(c, req.HMAC)
	if err != nil {
		return expires, err
	}
	err = api.editor.AlterToken(ctx, id, func(t *schema.Token) (bool, error) {
		now := time.Now()
		switch {
		case t.Over(now):
			return true, kerr.DelegationTokenExpired
		case !t.MayRenew(c.principal):
			return true, kerr.DelegationTokenOwnerMismatch
		}
		t.Times = api.issuer.Renew(t.Times, now, req.RenewTimeMillis)
		expires = t.Expires
		return true, nil
	})
	if err == nil {
		api.audit.Info("delegation token renewed", "token", id, "expires", expires, c.attr())
	}
	return expires, err
}
