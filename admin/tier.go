package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Tier is what an operator may ask of what is in the bucket.
type Tier interface {
	// TierHoles looks for records that can't be read, and tells TierLooks.
	TierHoles(ctx context.Context, topics []string, tell func(*TierLook) error) error
	// TierSkip gives such records up, and returns a Skipped.
	TierSkip(ctx context.Context, topic string, partition int32, from, to int64) (*Skipped, error)
}

// RefusedError reports a request that doesn't fit the present state: it is answered with 409.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// ElsewhereError reports which agent is to be asked.
type ElsewhereError struct {
	Base  string // the URL of its HTTP address
	What  string
	Agent int32
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("%s is led by agent %d: ask it, at %s", e.What, e.Agent, e.Base)
}

// tier are the pages about what is in the bucket.
func tier(t Tier) []Route {
	return []Route{
		{"GET", "/v1/tier/holes", "Looks for records that can't be read since their objects are gone or damaged, in the topics named by `topic`, or all. A line of JSON for each that is found, and for how far the look is; the last has `done`.", "/v1/tier/holes?topic=orders",
			func(w http.ResponseWriter, r *http.Request) { tierHoles(w, r, t) }},
		{"POST", "/v1/topics/{topic}/partitions/{partition}/skip", "Gives up records that can't be read, from offset `from` to before `to`: consumers pass over them. 307: another agent leads the partition; 409: some of them can be read.", "/v1/topics/orders/partitions/3/skip?from=100&to=200",
			func(w http.ResponseWriter, r *http.Request) { tierSkip(w, r, t) }},
	}
}

func tierSkip(w http.ResponseWriter, r *http.Request, t Tier) {
	q := r.URL.Query()
	partition, err := number(r.PathValue("partition"), "partition")
	from, badFrom := offset(q.Get("from"), "from")
	to, badTo := offset(q.Get("to"), "to")
	var v *Skipped
	if err = errors.Join(err, badFrom, badTo); err == nil {
		v, err = t.TierSkip(r.Context(), r.PathValue("topic"), partition, from, to)
	}
	var refused *RefusedError
	var elsewhere *ElsewhereError
	switch {
	case errors.As(err, &elsewhere):
		w.Header().Set("Location", elsewhere.Base+r.URL.RequestURI())
		reply(w, http.StatusTemporaryRedirect, err.Error()+"\n")
	case errors.As(err, &refused):
		reply(w, http.StatusConflict, err.Error()+"\n")
	default:
		answer(w, v, err)
	}
}

// tierHoles answers with a line of JSON for each thing that is reported, as it comes.
func tierHoles(w http.ResponseWriter, r *http.Request, t Tier) {
	begun := false
	e := json.NewEncoder(w)
	tell := func(v *TierLook) error {
		if !begun {
			w.Header().Set("Content-Type", "application/x-ndjson")
			begun = true
		}
		if err := e.Encode(v); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	err := t.TierHoles(r.Context(), r.URL.Query()["topic"], tell)
	switch {
	case err != nil && !begun:
		answer(w, nil, err)
	case err != nil:
		_ = tell(&TierLook{Error: err.Error()}) // the client may be gone
	}
}

func offset(text, what string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, &badError{fmt.Errorf("%s is %q: must be an offset", what, text)}
	}
	return n, nil
}
