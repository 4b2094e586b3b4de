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
	Cluster() any
	Journals() any
	// Balance asks for the moves that level the agents.
	Balance(ctx context.Context) (any, error)
	// Drain makes an agent own nothing; or ends that.
	Drain(ctx context.Context, broker int32, drained bool) error
	// Forget ends the waiting for an agent that won't come back.
	Forget(ctx context.Context, broker int32) error
	MovePartition(ctx context.Context, topic string, partition, to int32) error
	// LossCost says what AcceptLoss may cost.
	LossCost(ctx context.Context, j id.Journal) (any, error)
	AcceptLoss(ctx context.Context, j id.Journal) (any, error)
}

// operate adds the operator's pages.
func operate(mux *http.ServeMux, o Operator) {
	mux.HandleFunc("GET /v1/cluster", func(w http.ResponseWriter, _ *http.Request) { respond(w, o.Cluster()) })
	mux.HandleFunc("GET /v1/journals", func(w http.ResponseWriter, _ *http.Request) { respond(w, o.Journals()) })
	mux.HandleFunc("POST /v1/cluster/balance", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.Balance(r.Context())
		answer(w, v, err)
	})
	for name, drained := range map[string]bool{"drain": true, "undrain": false} {
		mux.HandleFunc("POST /v1/agents/{broker}/"+name, func(w http.ResponseWriter, r *http.Request) {
			broker, err := number(r.PathValue("broker"), "broker")
			if err == nil {
				err = o.Drain(r.Context(), broker, drained)
			}
			answer(w, struct{}{}, err)
		})
	}
	mux.HandleFunc("POST /v1/agents/{broker}/forget", func(w http.ResponseWriter, r *http.Request) {
		broker, err := number(r.PathValue("broker"), "broker")
		if err == nil {
			err = o.Forget(r.Context(), broker)
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /v1/topics/{topic}/partitions/{partition}/move", func(w http.ResponseWriter, r *http.Request) {
		partition, err := number(r.PathValue("partition"), "partition")
		to, bad := number(r.URL.Query().Get("to"), "to")
		if err = errors.Join(err, bad); err == nil {
			err = o.MovePartition(r.Context(), r.PathValue("topic"), partition, to)
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("GET /v1/journals/{journal}/loss", onJournal(o.LossCost))
	mux.HandleFunc("POST /v1/journals/{journal}/accept-loss", onJournal(o.AcceptLoss))
}

func onJournal(do func(context.Context, id.Journal) (any, error)) http.HandlerFunc {
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

// badError says that a request makes no sense.
type badError struct{ error }

func number(text, what string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, &badError{fmt.Errorf("%s is %q: must be a number", what, text)}
	}
	return int32(n), nil
}

// answer gives the value, or says in text what is wrong.
func answer(w http.ResponseWriter, v any, err error) {
	var bad *badError
	switch {
	case err == nil:
		respond(w, v)
	case errors.As(err, &bad):
		reply(w, http.StatusBadRequest, err.Error()+"\n")
	case errors.Is(err, cluster.ErrUnknownTopic), errors.Is(err, cluster.ErrUnknownAgent):
		reply(w, http.StatusNotFound, err.Error()+"\n")
	case errors.Is(err, cluster.ErrNoAgent), errors.Is(err, cluster.ErrNoLoss):
		reply(w, http.StatusConflict, err.Error()+"\n")
	default:
		reply(w, http.StatusServiceUnavailable, err.Error()+"\n")
	}
}
