package s3store

import (
	"context"
	"errors"
	"strings"
)

// Advice reports what to check when a store doesn't work, in words of the settings; "" if the
// error doesn't tell.
func Advice(err error) string {
	if err == nil {
		return ""
	}
	for _, known := range []struct {
		is error
		do string
	}{
		{ErrSkewed, "set the clocks right (NTP)"},
		{ErrDenied, "check store.access_key and store.secret_key, and that they may read, write, list and delete in the bucket"},
		{ErrNoBucket, "check store.bucket and store.region; the bucket must exist"},
	} {
		if errors.Is(err, known.is) {
			return known.do
		}
	}
	text := err.Error()
	for _, known := range []struct{ has, do string }{
		{"server gave HTTP response to HTTPS client", "the server speaks plain http: store.endpoint must begin with http://"},
		{"HTTP request to an HTTPS server", "the server speaks TLS: store.endpoint must begin with https://"},
		{"first record does not look like a TLS handshake", "the server speaks plain http: store.endpoint must begin with http://"},
		{"malformed HTTP response", "the server may speak TLS, or not be an object store: check store.endpoint"},
		{"certificate signed by unknown authority", "name the authority of the server's certificate in store.tls.ca_file"},
		{"x509: ", "check the server's certificate against store.endpoint and store.tls.ca_file"},
		{"no such host", "check the host name in store.endpoint, and DNS"},
		{"connection refused", "check store.endpoint, and that the server runs"},
		{"no route to host", "check store.endpoint and the network"},
		{"i/o timeout", "check store.endpoint and the network"},
	} {
		if strings.Contains(text, known.has) {
			return known.do
		}
	}
	if errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return "check store.endpoint and the network"
	}
	return ""
}
