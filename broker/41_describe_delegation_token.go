// DescribeDelegationToken, versions 1 to 3: 1 tokens with their HMACs (KIP-48), 3 who has asked for
// them (KIP-373).

package broker

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/metadata/schema"
)

func (api *tokenAPIs) describeDelegationToken(_ context.Context, c *caller, req *kmsg.DescribeDelegationTokenRequest) *kmsg.DescribeDelegationTokenResponse {
	resp := req.ResponseKind().(*kmsg.DescribeDelegationTokenResponse)
	if err := cmp.Or(api.allowed(c), api.enabled()); err != nil {
		resp.ErrorCode, _ = coded(err)
		return resp
	}
	var owners []string
	for i := range req.Owners {
		owners = append(owners, req.Owners[i].PrincipalType+":"+req.Owners[i].PrincipalName)
	}
	resp.TokenDetails = []kmsg.DescribeDelegationTokenResponseTokenDetail{}
	for id, t := range api.tokens.All() {
		if t.Secret == api.issuer.SecretID() && (req.Owners == nil || slices.ContainsFunc(owners, t.MaySee)) && mayDescribe(c, id, &t) {
			resp.TokenDetails = append(resp.TokenDetails, api.describe(id, &t))
		}
	}
	slices.SortFunc(resp.TokenDetails, func(a, b kmsg.DescribeDelegationTokenResponseTokenDetail) int {
		return cmp.Or(cmp.Compare(a.IssueTimestamp, b.IssueTimestamp), cmp.Compare(a.TokenID, b.TokenID))
	})
	return resp
}

// mayDescribe reports whether a caller may see a token, with its HMAC.
func mayDescribe(c *caller, id string, t *schema.Token) bool {
	return t.MaySee(c.principal) || c.may(opDescribe, onDelegationToken, id) || c.may(opDescribeTokens, onUser, t.Owner)
}

func (api *tokenAPIs) describe(id string, t *schema.Token) kmsg.DescribeDelegationTokenResponseTokenDetail {
	d := kmsg.NewDescribeDelegationTokenResponseTokenDetail()
	d.PrincipalType, d.PrincipalName = splitPrincipal(t.Owner)
	d.TokenRequesterPrincipalType, d.TokenRequesterPrincipalName = splitPrincipal(t.Requester)
	d.IssueTimestamp, d.ExpiryTimestamp, d.MaxTimestamp = t.Issued.UnixMilli(), t.Expires.UnixMilli(), t.Max.UnixMilli()
	d.TokenID, d.HMAC = id, api.issuer.HMAC(id)
	for _, r := range t.Renewers {
		renewer := kmsg.NewDescribeDelegationTokenResponseTokenDetailRenewer()
		renewer.PrincipalType, renewer.PrincipalName = splitPrincipal(r)
		d.Renewers = append(d.Renewers, renewer)
	}
	return d
}
