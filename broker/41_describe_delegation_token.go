// DescribeDelegationToken, versions 1 to 3: 1 tokens with their HMACs (KIP-48), 3 who has asked for
// them (KIP-373).

package broker

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/metadata/schema"
)

// maxOwners bounds the owners whose tokens one request asks for. Kafka has no bound.
const maxOwners = 5000

// tokenAnswerBytes is the memory that all answers about tokens may take together. An answer that
// takes more alone takes all of it.
const tokenAnswerBytes = 8 << 20

var errOwners = refuse(kerr.InvalidRequest, "A request may ask for the delegation tokens of %d owners", maxOwners)

func (api *tokenAPIs) describeDelegationToken(ctx context.Context, c *caller, r kmsg.Request) kmsg.Response {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	req := r.(*kmsg.DescribeDelegationTokenRequest)
	resp := req.ResponseKind().(*kmsg.DescribeDelegationTokenResponse)
	ids, bytes, err := api.shownTo(ctx, c, req.Owners)
	if err == nil {
		bytes = min(bytes, api.answerBytes)
		err = api.answers.acquire(ctx, changeTimeout, bytes)
	}
	if err != nil {
		resp.ErrorCode, _ = coded(err)
		return resp
	}
	resp.TokenDetails = make([]kmsg.DescribeDelegationTokenResponseTokenDetail, 0, len(ids))
	for _, id := range ids {
		if t, ok := api.tokens.Get(id); ok {
			resp.TokenDetails = append(resp.TokenDetails, api.describe(id, &t))
		}
	}
	slices.SortFunc(resp.TokenDetails, func(a, b kmsg.DescribeDelegationTokenResponseTokenDetail) int {
		return cmp.Or(cmp.Compare(a.IssueTimestamp, b.IssueTimestamp), cmp.Compare(a.TokenID, b.TokenID))
	})
	return &heldResponse{resp, func() { api.answers.release(bytes) }}
}

// shownTo returns the ids of the tokens that a caller may see and asks for, and how many bytes an
// answer about them takes. owners nil is all.
func (api *tokenAPIs) shownTo(ctx context.Context, c *caller, owners []kmsg.DescribeDelegationTokenRequestOwner) (ids []string, bytes int64, err error) {
	switch err := cmp.Or(api.allowed(c), api.enabled()); {
	case err != nil:
		return nil, 0, err
	case len(owners) > maxOwners:
		return nil, 0, errOwners
	}
	wanted := make(map[string]bool, len(owners))
	for i := range owners {
		wanted[owners[i].PrincipalType+":"+owners[i].PrincipalName] = true
	}
	for _, id := range api.tokens.IDs() {
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		t, ok := api.tokens.Get(id)
		if ok && t.Secret == api.issuer.SecretID() && mayDescribe(c, id, &t) && (owners == nil || t.SeenByAny(wanted)) {
			ids = append(ids, id)
			bytes += answerBytes(&t)
		}
	}
	return ids, bytes, nil
}

// answerBytes bounds the memory that a token takes in an answer: decoded, and encoded into a
// buffer that grows.
func answerBytes(t *schema.Token) int64 {
	const decoded, encoded, renewer = 512, 256, 48
	names := len(t.Owner) + len(t.Requester)
	for _, r := range t.Renewers {
		names += len(r) + 8
	}
	return int64(decoded + renewer*len(t.Renewers) + 3*(encoded+names))
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
	d.Renewers = make([]kmsg.DescribeDelegationTokenResponseTokenDetailRenewer, 0, len(t.Renewers))
	for _, r := range t.Renewers {
		renewer := kmsg.NewDescribeDelegationTokenResponseTokenDetailRenewer()
		renewer.PrincipalType, renewer.PrincipalName = splitPrincipal(r)
		d.Renewers = append(d.Renewers, renewer)
	}
	return d
}
