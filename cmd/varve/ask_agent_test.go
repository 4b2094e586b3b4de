package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"varve/admin"
)

// TestAskOlderAgent: during an upgrade a command may ask an agent of the release before for what that
// doesn't have. The error says so.
func TestAskOlderAgent(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, err := askAgent[admin.Finalized](t.Context(), http.MethodPost, strings.TrimPrefix(s.URL, "http://"), "/v1/cluster/finalize")
	if err == nil || !strings.Contains(err.Error(), "older release") {
		t.Error(err)
	}
}
