package testserver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// CreateBucket makes a bucket; one that is there already is no error.
func (m *MinIOServer) CreateBucket(ctx context.Context, bucket string) error {
	err := m.call(ctx, http.MethodPut, "/"+bucket)
	if err != nil && strings.Contains(err.Error(), "BucketAlreadyOwnedByYou") {
		return nil
	}
	return err
}

// listBuckets succeeds once the server serves S3; its health page is content
// a little earlier.
func (m *MinIOServer) listBuckets(ctx context.Context) error {
	return m.call(ctx, http.MethodGet, "/")
}

// call makes one S3 request without query or body. It is signed here (Signature
// Version 4), for test support imports no SDK.
func (m *MinIOServer) call(ctx context.Context, method, path string) error {
	request, err := http.NewRequestWithContext(ctx, method, m.Endpoint+path, nil)
	if err != nil {
		return err
	}
	sign(request, m.AccessKey, m.SecretKey, time.Now().UTC())
	response, err := direct.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, body)
	}
	return nil
}

// sign adds the authorisation of a request without body or query.
func sign(request *http.Request, accessKey, secretKey string, now time.Time) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
	date, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	scope := strings.Join([]string{date, MinIORegion, "s3", "aws4_request"}, "/")
	request.Header.Set("X-Amz-Date", stamp)
	request.Header.Set("X-Amz-Content-Sha256", empty)
	canonical := strings.Join([]string{
		request.Method, request.URL.EscapedPath(), "",
		"host:" + request.URL.Host,
		"x-amz-content-sha256:" + empty,
		"x-amz-date:" + stamp,
		"", "host;x-amz-content-sha256;x-amz-date", empty,
	}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(digest[:])}, "\n")
	key := []byte("AWS4" + secretKey)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	request.Header.Set("Authorization", fmt.Sprintf(
		"AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=%s",
		accessKey, scope, hex.EncodeToString(mac(key, toSign))))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
