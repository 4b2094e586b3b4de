package sim

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// token has a delegation token made for a job, or renews the one that the job has, or takes it back.
func (p *person) token(ctx context.Context, s *session, job *person) {
	job.mu.Lock()
	var now password
	if n := len(job.passwords); n > 0 {
		now = job.passwords[n-1]
	}
	job.mu.Unlock()
	switch n := p.draw(6); {
	case now.token != "" && n < 2:
		req := kmsg.NewPtrRenewDelegationTokenRequest()
		req.Version, req.HMAC, req.RenewTimeMillis = 2, now.hmac, 2000
		if resp, _, err := s.ask(ctx, req); err == nil {
			p.w.log.add("%s renews token %s: %d", p.name, now.token, resp.(*kmsg.RenewDelegationTokenResponse).ErrorCode)
		}
	case now.token != "" && n == 2:
		req := kmsg.NewPtrExpireDelegationTokenRequest()
		req.Version, req.HMAC, req.ExpiryPeriodMillis = 2, now.hmac, int64(p.draw(2))*500-1
		if resp, _, err := s.ask(ctx, req); err == nil {
			p.w.log.add("%s takes token %s back: %d", p.name, now.token, resp.(*kmsg.ExpireDelegationTokenResponse).ErrorCode)
		}
	default:
		req := kmsg.NewPtrCreateDelegationTokenRequest()
		req.Version, req.MaxLifetimeMillis = 3, 6000
		resp, _, err := s.ask(ctx, req)
		if err != nil {
			return
		}
		r := resp.(*kmsg.CreateDelegationTokenResponse)
		p.w.log.add("%s has token %s: %d", p.name, r.TokenID, r.ErrorCode)
		if r.ErrorCode == 0 {
			job.take(password{salt: r.TokenID, token: r.TokenID, hmac: r.HMAC})
		}
	}
}
