// CreateDelegationToken, versions 1 to 3: 1 a token by which a client logs in as its owner (KIP-48),
// 3 for another owner (KIP-373).

package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/token"
	"varve/metadata/schema"
)

func (api *tokenAPIs) createDelegationToken(ctx context.Context, c *caller, req *kmsg.CreateDelegationTokenRequest) *kmsg.CreateDelegationTokenResponse {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	owner := c.principal
	if req.OwnerPrincipalName != nil && *req.OwnerPrincipalName != "" {
		owner = ":" + *req.OwnerPrincipalName
		if req.OwnerPrincipalType != nil {
			owner = *req.OwnerPrincipalType + owner
		}
	}
	resp := req.ResponseKind().(*kmsg.CreateDelegationTokenResponse)
	resp.PrincipalType, resp.PrincipalName = splitPrincipal(owner)
	resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = splitPrincipal(c.principal)
	resp.HMAC = []byte{}
	id, hmac, t, err := api.create(ctx, c, owner, req)
	if resp.ErrorCode, _ = coded(err); err != nil {
		none := timeOf(err)
		resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = none, none, none
		return resp
	}
	resp.TokenID, resp.HMAC = id, hmac
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = t.Issued.UnixMilli(), t.Expires.UnixMilli(), t.Max.UnixMilli()
	return resp
}

// create makes a token that a caller may have.
func (api *tokenAPIs) create(ctx context.Context, c *caller, owner string, req *kmsg.CreateDelegationTokenRequest) (id string, hmac []byte, t schema.Token, err error) {
	renewers, err := api.mayCreate(c, owner, req)
	if err != nil {
		return "", nil, t, err
	}
	id = token.NewID(api.random)
	hmac = api.issuer.HMAC(id)
	t = schema.Token{Owner: owner, Requester: c.principal, Renewers: renewers, Times: api.issuer.Begin(time.Now(), req.MaxLifetimeMillis), Secret: api.issuer.SecretID(), Proof: token.ProofOf(hmac)}
	if t.Scram, err = verifiersOf(hmac, api.random); err != nil {
		return "", nil, t, err
	}
	if err := api.editor.CreateToken(ctx, id, t); err != nil {
		return "", nil, t, err
	}
	api.audit.Info("delegation token created", "token", id, "owner", short(owner), "renewers", len(renewers), "expires", t.Expires, "max", t.Max, c.attr())
	return id, hmac, t, nil
}

// mayCreate returns the renewers of a token that is asked for, or why it can't be had, in the
// order in which Kafka looks.
func (api *tokenAPIs) mayCreate(c *caller, owner string, req *kmsg.CreateDelegationTokenRequest) (renewers []string, err error) {
	if err := api.allowed(c); err != nil {
		return nil, err
	}
	if owner != c.principal {
		if err := c.check(opCreateTokens, onUser, owner); err != nil {
			return nil, err
		}
	}
	renewers = []string{}
	long := len(req.Renewers) > maxRenewers
	all := 0
	for i := range req.Renewers {
		r := &req.Renewers[i]
		if r.PrincipalType != userType {
			return nil, kerr.InvalidPrincipalType
		}
		if all += len(r.PrincipalName); long || all > maxTokenNames || checkPrincipalName(r.PrincipalName) != nil {
			long = true
			continue // another may have a type that is refused before
		}
		renewers = append(renewers, r.PrincipalType+":"+r.PrincipalName)
	}
	if err := api.enabled(); err != nil {
		return nil, err
	}
	kind, name := splitPrincipal(owner)
	switch {
	case kind != userType: // a client that logs in by it would be a user
		return nil, kerr.InvalidPrincipalType
	case long:
		return nil, errNames
	}
	return renewers, checkPrincipalName(name)
}
