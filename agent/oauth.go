package agent

import (
	"context"
	"fmt"
	"time"

	"varve/auth/oauth"
	"varve/auth/sasl"
	"varve/broker"
)

// openOAuth returns what checks tokens, if a listener or HTTP has them, and begins to read the keys. It doesn't wait for
// the issuer, which may be unavailable: until its keys were read once, logins by token fail.
func (p *process) openOAuth(life context.Context) (broker.BearerCheck, error) {
	if !p.cfg.offers(sasl.OAuthBearer) && !p.cfg.httpTakesTokens() {
		return nil, nil
	}
	v, err := oauth.Open(p.cfg.Security.OAuth, oauth.Deps{FS: p.files, Now: p.deps.Now, Random: p.random.Split(), Log: p.log.With("part", "oauth"), Registry: p.deps.Registry})
	if err != nil {
		return nil, fmt.Errorf("security.oauth: %w", err)
	}
	check := func(ctx context.Context, token string) (string, time.Time, error) {
		t, err := v.Verify(ctx, token)
		return t.Principal, t.Expires, err
	}
	p.run(func() { v.Run(life) })
	return check, nil
}
