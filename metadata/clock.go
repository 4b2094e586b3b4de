package metadata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Clock returns the time of one of etcd's servers, in whole seconds, as its HTTP answers
// tell it.
func (s *etcdStore) Clock(ctx context.Context) (time.Time, error) {
	secure, err := s.cfg.client()
	if err != nil {
		return time.Time{}, err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true}}
	var failed []error
	for _, e := range s.cfg.Endpoints {
		if !strings.HasPrefix(e, "http") {
			continue // a socket: the same machine
		}
		at, err := clockOf(ctx, client, strings.TrimSuffix(e, "/")+"/version")
		if err == nil {
			return at, nil
		}
		failed = append(failed, err)
	}
	return time.Time{}, errors.Join(append(failed, ErrUnavailable)...)
}

func clockOf(ctx context.Context, client *http.Client, url string) (time.Time, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return time.Time{}, err
	}
	answer, err := client.Do(q)
	if err != nil {
		return time.Time{}, err
	}
	defer answer.Body.Close()
	at, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s tells no time: %w", url, err)
	}
	return at, nil
}
