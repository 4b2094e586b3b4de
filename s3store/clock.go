package s3store

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// serverClock learns from answers how far the store's clock is ahead of ours.
type serverClock struct {
	known atomic.Bool
	skew  atomic.Int64 // time.Duration
}

// SkewOf is how far a clock is ahead of ours that was read, in whole seconds, between two
// moments of ours: 0 as long as that explains it.
func SkewOf(began, ended, read time.Time) time.Duration {
	least, most := read.Sub(ended), read.Add(time.Second).Sub(began)
	switch {
	case least > 0:
		return least
	case most < 0:
		return most
	}
	return 0
}

// Skew is how far the clock of a store from Open is ahead of ours; false if it has not
// answered yet, or has no clock.
func Skew(s Store) (ahead time.Duration, known bool) {
	a, ok := s.(*Adapted)
	if !ok || a.clock == nil {
		return 0, false
	}
	return a.clock.ahead()
}

func (c *serverClock) ahead() (time.Duration, bool) {
	return time.Duration(c.skew.Load()), c.known.Load()
}

// note reads the clock from an answer's header.
func (c *serverClock) note(began time.Time, header http.Header) {
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		c.skew.Store(int64(SkewOf(began, time.Now(), at)))
		c.known.Store(true)
	}
}

// watchedClient is the AWS SDK's client; the SDK signs by the store's clock itself, once
// an answer has told it.
type watchedClient struct {
	aws.HTTPClient
	clock *serverClock
}

func (w watchedClient) Do(r *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := w.HTTPClient.Do(r)
	if err == nil {
		w.clock.note(began, answer.Header)
	}
	return answer, err
}

// signingTransport signs MinIO's requests again where our clock is off: its SDK
// always signs by ours.
type signingTransport struct {
	inner  http.RoundTripper
	clock  *serverClock
	creds  *credentials.Credentials
	signer *v4.Signer
	from   time.Duration // the skew from which on it does
}

// signFrom is well below the 15 minutes that S3 tolerates.
const signFrom = time.Minute

func newSigningTransport(inner http.RoundTripper, clock *serverClock, creds *credentials.Credentials) *signingTransport {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return &signingTransport{inner, clock, creds, signer, signFrom}
}

func (t *signingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	if ahead, known := t.clock.ahead(); known && ahead.Abs() >= t.from {
		if again, err := t.sign(r, began.Add(ahead)); err == nil {
			r = again
		}
	}
	answer, err := t.inner.RoundTrip(r)
	if err == nil {
		t.clock.note(began, answer.Header)
	}
	return answer, err
}

// sign gives the request a signature of that time. A request without one, or whose
// body carries signatures of its own, stays as it is.
func (t *signingTransport) sign(r *http.Request, at time.Time) (*http.Request, error) {
	const hashHeader = "X-Amz-Content-Sha256"
	region, signed := signedRegion(r.Header.Get("Authorization"))
	hash := r.Header.Get(hashHeader)
	if !signed || hash == "" || strings.HasPrefix(hash, "STREAMING-") {
		return r, nil
	}
	value, err := t.creds.GetWithContext(nil)
	if err != nil {
		return nil, err
	}
	again := r.Clone(r.Context())
	again.Header.Del("Authorization")
	again.Header.Del("X-Amz-Date")
	again.Header.Del("X-Amz-Security-Token")
	err = t.signer.SignHTTP(context.WithoutCancel(r.Context()), aws.Credentials{AccessKeyID: value.AccessKeyID, SecretAccessKey: value.SecretAccessKey, SessionToken: value.SessionToken},
		again, hash, "s3", region, at.UTC())
	return again, err
}

// signedRegion reads the region out of a signature of version 4:
// AWS4-HMAC-SHA256 Credential=key/date/region/s3/aws4_request, ...
func signedRegion(header string) (region string, ok bool) {
	_, rest, found := strings.Cut(header, "AWS4-HMAC-SHA256 Credential=")
	scope, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(scope, "/")
	if !found || len(parts) < 5 {
		return "", false
	}
	return parts[len(parts)-3], true // a key may have slashes
}
