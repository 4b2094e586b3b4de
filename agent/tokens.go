package agent

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"varve/auth/sasl"
	"varve/auth/token"
	"varve/cluster"
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

	warned bool // of tokens that can't be used here
}

// run deletes tokens that have expired, while this agent is the controller, and warns of those that
// can't be used here, as soon as there are some.
func (w *tokenWatch) run(life context.Context) {
	tick := time.NewTicker(tokenCheck)
	defer tick.Stop()
	w.check(life)
	for {
		changed := cluster.NewTokens(w.view).Changed()
		w.warn()
		select {
		case <-changed:
		case <-tick.C:
			w.check(life)
		case <-life.Done():
			return
		}
	}
}

// warn logs that tokens can't be used here, once until there are none of them.
func (w *tokenWatch) warn() {
	foreign := foreignTokens(w.own, cluster.NewTokens(w.view))
	if foreign > 0 && !w.warned {
		warnOfTokens(w.log, w.own, foreign)
	}
	w.warned = foreign > 0
}

// check is what is done every tokenCheck.
func (w *tokenWatch) check(life context.Context) {
	if w.active() {
		w.drop(life)
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
func foreignTokens(own *token.Issuer, all *cluster.Tokens) int {
	if own == nil {
		return all.Foreign(nil)
	}
	id := own.SecretID()
	return all.Foreign(&id)
}

// warnOfTokens logs that tokens can't be used at this agent.
func warnOfTokens(log *slog.Logger, own *token.Issuer, n int) {
	if own == nil {
		log.Warn("the cluster has delegation tokens, but this agent has no secret: nobody can use them here (security.delegation_tokens.secret_file)", "tokens", n)
		return
	}
	log.Warn("delegation tokens were made with another secret than this agent's, so nobody can use them here: all agents need the same (security.delegation_tokens.secret_file), unless it was changed to take tokens back", "tokens", n)
}

// warnOfTokenSettings logs that the tokens that are made can't be used.
func warnOfTokenSettings(cfg *Config, log *slog.Logger) {
	if cfg.Security.Tokens.SecretFile != "" && !cfg.offers(sasl.ScramSHA512) && !cfg.offers(sasl.ScramSHA256) {
		log.Warn("nobody can log in by a delegation token here: security.delegation_tokens.secret_file is set, and no listener offers SCRAM-SHA-512 or SCRAM-SHA-256")
	}
}
