package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"varve/cluster"
	"varve/internal/id"
)

// Operator is what an operator may ask of any agent.
type Operator interface {
	// Cluster is the cluster as the agent sees it; Journals how its own journal is kept,
	// and what it waits for.
	Cluster() *ClusterStatus
	Journals() *JournalsStatus
	// Balance asks for the moves that level the agents.
	Balance(ctx context.Context) (*Balanced, error)
	// Drain makes an agent own nothing; or ends that.
	Drain(ctx context.Context, broker int32, drained bool) error
	// Forget ends the waiting for an agent that won't come back.
	Forget(ctx context.Context, broker int32) error
	// Finalize raises the cluster's level; 0 is the newest that this agent knows. With dryRun it only checks.
	Finalize(ctx context.Context, level uint8, dryRun bool) (*Finalized, error)
	MovePartition(ctx context.Context, topic string, partition, to int32) error
	// LossCost returns what AcceptLoss may cost.
	LossCost(ctx context.Context, j id.Journal) (*LossCost, error)
	AcceptLoss(ctx context.Context, j id.Journal) (*Loss, error)
}

// operate are the operator's pages.
func operate(o Operator) []Route {
	return []Route{
		{"GET", "/v1/cluster", "The cluster as this agent sees it.", "/v1/cluster",
			func(w http.ResponseWriter, _ *http.Request) { respond(w, o.Cluster()) }},
		{"GET", "/v1/journals", "How this agent's journal is kept, and what the agent waits for.", "/v1/journals",
			func(w http.ResponseWriter, _ *http.Request) { respond(w, o.Journals()) }},
		{"POST", "/v1/cluster/balance", "Asks for the moves that level the agents; `varve cluster balance`.", "/v1/cluster/balance",
			func(w http.ResponseWriter, r *http.Request) {
				v, err := o.Balance(r.Context())
				answer(w, v, err)
			}},
		{"POST", "/v1/cluster/finalize", "Raises the cluster's level to the one that the parameter `level` names, by default the newest that the agent knows; with `dry_run=true` only checks; `varve cluster finalize`. 409: agents don't know it, or are away.", "/v1/cluster/finalize?dry_run=true", finalize(o)},
		{"POST", "/v1/agents/{broker}/drain", "Makes an agent own nothing; `varve cluster drain`. 404, 409: there is no such agent, or it is the only one.", "/v1/agents/2/drain", drain(o, true)},
		{"POST", "/v1/agents/{broker}/undrain", "Ends that; `varve cluster undrain`.", "/v1/agents/2/undrain", drain(o, false)},
		{"POST", "/v1/agents/{broker}/forget", "Ends the waiting for an agent that won't come back; `varve cluster forget`.", "/v1/agents/2/forget",
			func(w http.ResponseWriter, r *http.Request) {
				broker, err := number(r.PathValue("broker"), "broker")
				if err == nil {
					err = o.Forget(r.Context(), broker)
				}
				answer(w, struct{}{}, err)
			}},
		{"POST", "/v1/topics/{topic}/partitions/{partition}/move", "Moves a partition to the agent that the parameter `to` names; `varve cluster move`.", "/v1/topics/orders/partitions/0/move?to=2", move(o)},
		{"GET", "/v1/journals/{journal}/loss", "What accepting the loss of a journal may cost.", "/v1/journals/3-1/loss", onJournal(func(ctx context.Context, j id.Journal) (*LossCost, error) { return o.LossCost(ctx, j) })},
		{"POST", "/v1/journals/{journal}/accept-loss", "Gives up what only a lost journal had; `varve cluster accept-loss`. 409: it isn't lost.", "/v1/journals/3-1/accept-loss", onJournal(func(ctx context.Context, j id.Journal) (*Loss, error) { return o.AcceptLoss(ctx, j) })},
	}
}

func drain(o Operator, drained bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		broker, err := number(r.PathValue("broker"), "broker")
		if err == nil {
			err = o.Drain(r.Context(), broker, drained)
		}
		answer(w, struct{}{}, err)
	}
}

func finalize(o Operator) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var level uint64
		var dry bool
		var err, bad error
		if text := r.URL.Query().Get("level"); text != "" {
			if level, err = strconv.ParseUint(text, 10, 8); err != nil {
				err = &badError{fmt.Errorf("level is %q: must be a number up to 255", text)}
			}
		}
		if text := r.URL.Query().Get("dry_run"); text != "" {
			if dry, bad = strconv.ParseBool(text); bad != nil {
				bad = &badError{fmt.Errorf("dry_run is %q: must be true or false", text)}
			}
		}
		var v *Finalized
		if err = errors.Join(err, bad); err == nil {
			v, err = o.Finalize(r.Context(), uint8(level), dry)
		}
		answer(w, v, err)
	}
}

func move(o Operator) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		partition, err := number(r.PathValue("partition"), "partition")
		to, bad := number(r.URL.Query().Get("to"), "to")
		if err = errors.Join(err, bad); err == nil {
			err = o.MovePartition(r.Context(), r.PathValue("topic"), partition, to)
		}
		answer(w, struct{}{}, err)
	}
}

func onJournal[T any](do func(context.Context, id.Journal) (*T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		j, err := id.ParseJournal(r.PathValue("journal"))
		if err != nil {
			answer(w, nil, &badError{err})
			return
		}
		v, err := do(r.Context(), j)
		answer(w, v, err)
	}
}

// badError means that a request makes no sense.
type badError struct{ error }

func number(text, what string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, &badError{fmt.Errorf("%s is %q: must be a number", what, text)}
	}
	return int32(n), nil
}

// answer writes the value, or a text with what is wrong.
func answer(w http.ResponseWriter, v any, err error) {
	var bad *badError
	switch {
	case err == nil:
		respond(w, v)
	case errors.As(err, &bad):
		reply(w, http.StatusBadRequest, err.Error()+"\n")
	case errors.Is(err, cluster.ErrUnknownTopic), errors.Is(err, cluster.ErrUnknownAgent):
		reply(w, http.StatusNotFound, err.Error()+"\n")
	case errors.Is(err, cluster.ErrNoAgent), errors.Is(err, cluster.ErrNoLoss), errors.Is(err, cluster.ErrTopicExists), errors.Is(err, cluster.ErrLevel):
		reply(w, http.StatusConflict, err.Error()+"\n")
	default:
		reply(w, http.StatusServiceUnavailable, err.Error()+"\n")
	}
}
