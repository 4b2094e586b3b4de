package agent

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"varve/auth/token"
	"varve/cluster"
	"varve/internal/backoff"
	"varve/metadata/schema"
)

// tokenCheck is how often expired delegation tokens are deleted (Kafka's
// delegation.token.expiry.check.interval.ms, which is an hour by default).
const tokenCheck = 10 * time.Minute

// tokenWatch looks after the delegation tokens of the cluster.
type tokenWatch struct {
	own        *token.Issuer // nil: this agent has no secret
	view       *cluster.View
	editor     *cluster.Editor
	active     func() bool // reports whether this agent is the controller
	now        func() time.Time
	log, audit *slog.Logger
}

// run deletes tokens that have expired, while this agent is the controller, and warns of those that
// can't be used here.
func (w *tokenWatch) run(life context.Context) {
	all := cluster.NewTokens(w.view)
	warned := false
	for {
		foreign := foreignTokens(w.own, all.All())
		if foreign > 0 && !warned {
			warnOfTokens(w.log, w.own, foreign)
		}
		warned = foreign > 0
		if w.active() {
			w.drop(life)
		}
		if backoff.Sleep(life, tokenCheck) != nil {
			return
		}
	}
}

// drop deletes tokens that have expired.
func (w *tokenWatch) drop(ctx context.Context) {
	dropped, err := w.editor.DropTokens(ctx, w.now())
	for _, id := range slices.Sorted(maps.Keys(dropped)) {
		t := dropped[id]
		w.audit.Info("delegation token deleted: it has expired", "token", id, "owner", t.Owner, "expired", t.Expires)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("expired delegation tokens not deleted, they will be later", "err", err)
	}
}

// foreignTokens counts the tokens that another secret made.
func foreignTokens(own *token.Issuer, all map[string]schema.Token) (n int) {
	for _, t := range all {
		if own == nil || t.Secret != own.SecretID() {
			n++
		}
	}
	return n
}

// warnOfTokens logs that tokens can't be used at this agent.
func warnOfTokens(log *slog.Logger, own *token.Issuer, n int) {
	if own == nil {
		log.Warn("the cluster has delegation tokens, but this agent has no secret: nobody can use them here (security.delegation_tokens.secret_file)", "tokens", n)
		return
	}
	log.Warn("delegation tokens were made with another secret than this agent's, so nobody can use them here: all agents need the same (security.delegation_tokens.secret_file), unless it was changed to take tokens back", "tokens", n)
}
