package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"varve/auth/sasl"
)

// What a KDC says is told in a sentence, with what to do.
func TestKDCErrors(t *testing.T) {
	const chain = "[Root cause: KDC_Error] KDC_Error: AS Exchange Error: kerberos error response from KDC when requesting for krbtgt/R < KRB Error: "
	for _, c := range []struct{ host, says, want string }{
		{"10.0.0.1", "(7) KDC_ERR_S_PRINCIPAL_UNKNOWN Server not found in Kerberos database", "the KDC doesn't know this service (KDC_ERR_S_PRINCIPAL_UNKNOWN): use the name of the broker's host instead of its address (--brokers)"},
		{"::1", "(7) KDC_ERR_S_PRINCIPAL_UNKNOWN", "instead of its address"},
		{"broker", "(7) KDC_ERR_S_PRINCIPAL_UNKNOWN", "is that the name of the broker's host in its principal?"},
		{"broker", "(24) KDC_ERR_PREAUTH_FAILED Pre-authentication information was invalid", "the password is wrong, or the keytab has another key than the KDC"},
		{"broker", "AS_REP is not valid or client password/keytab incorrect", "the password is wrong"},
		{"broker", "(6) KDC_ERR_C_PRINCIPAL_UNKNOWN", "the KDC doesn't know the user"}, {"broker", "(37) KRB_AP_ERR_SKEW", "the clocks of this host and the KDC differ"},
	} {
		got := (&ticketError{c.host, errors.New(chain + c.says)}).Error()
		if !strings.HasPrefix(got, "get a ticket of Kerberos for kafka/"+c.host+": ") || !strings.Contains(got, c.want) || strings.Contains(got, "Root cause") {
			t.Errorf("%s: %s", c.says, got)
		}
	}
	if got := (&ticketError{"broker", errors.New("no route")}).Error(); !strings.HasSuffix(got, ": no route") {
		t.Error(got)
	}
}

// Why somebody isn't let in depends on what was shown.
func TestRefusalsAreExplained(t *testing.T) {
	const id = "T4kGxTQ_Qa-3k0hbIT0pPw"
	for _, c := range []struct {
		conn connection
		want string
	}{
		{connection{mechanism: sasl.GSSAPI}, "the agent's log says why it doesn't take the ticket"}, {connection{user: "alice"}, "the user doesn't exist, or the password is wrong"},
		{connection{user: id}, "--token says so"}, {connection{user: id, token: true}, "no such delegation token"}, {connection{user: id, mechanism: sasl.OAuthBearer}, "the token is not good"},
	} {
		err := connectError(&target{seeds: []string{"broker:1"}, conn: &c.conn}, fmt.Errorf("ping: %w", kerr.SaslAuthenticationFailed))
		if got := err.Error(); !strings.Contains(got, c.want) || c.conn.byTicket() && strings.Contains(got, "password") || !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%+v: %s", c.conn, got)
		}
	}
}
