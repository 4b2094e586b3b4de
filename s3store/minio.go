package s3store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// minioStore is the driver over minio-go. Retries are WithRetry's.
type minioStore struct {
	core      *minio.Core
	transport *http.Transport
	signing   *signingTransport
	config    Config
	sse       encrypt.ServerSide // nil for the bucket's default
}

func openMinIO(config Config, base driverBase) (*minioStore, error) {
	endpoint, err := url.Parse(config.Endpoint)
	if err != nil {
		return nil, err
	}
	transport, err := minio.DefaultTransport(endpoint.Scheme == "https")
	if err != nil {
		return nil, err
	}
	if err := config.tune(transport, base.log); err != nil {
		return nil, err
	}
	m := &minioStore{transport: transport, config: config}
	if m.sse, err = config.minioSSE(); err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupAuto
	if config.PathStyle {
		lookup = minio.BucketLookupPath
	}
	creds := config.minioCredentials(keysOf(config, base), transport)
	m.signing = newSigningTransport(transport, base.clock, creds)
	m.core, err = minio.NewCore(endpoint.Host, &minio.Options{
		Creds:        creds,
		Secure:       endpoint.Scheme == "https",
		Transport:    m.signing,
		Region:       config.Region,
		BucketLookup: lookup,
		MaxRetries:   1,
	})
	return m, err
}

func (c Config) minioCredentials(files *fileKeys, transport http.RoundTripper) *credentials.Credentials {
	if files != nil {
		return credentials.New(files)
	}
	if c.AccessKey != "" {
		return credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken)
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.EnvMinio{}, &credentials.FileAWSCredentials{},
		&credentials.IAM{Client: &http.Client{Transport: transport}},
	})
}

func (c Config) minioSSE() (encrypt.ServerSide, error) {
	switch c.SSE {
	case SSES3:
		return encrypt.NewSSE(), nil
	case SSEKMS:
		return encrypt.NewSSEKMS(c.SSEKMSKeyID, nil)
	}
	return nil, nil
}

func (m *minioStore) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	if err := errors.Join(checkKey(OpGet, key), checkRange(key, off, length)); err != nil {
		return nil, err
	}
	var options minio.GetObjectOptions
	if r := rangeHeader(off, length); r != "" {
		options.Set("Range", r)
	}
	body, _, header, err := m.core.GetObject(ctx, m.config.Bucket, key, options)
	if err != nil {
		return nil, minioError(OpGet, key, err)
	}
	if err := checkContentRange(key, off, length, header.Get("Content-Range")); err != nil {
		body.Close()
		return nil, err
	}
	return body, nil
}

func (m *minioStore) Head(ctx context.Context, key string) (Object, error) {
	if err := checkKey(OpHead, key); err != nil {
		return Object{}, err
	}
	info, err := m.core.StatObject(ctx, m.config.Bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return Object{}, minioError(OpHead, key, err)
	}
	return Object{key, info.Size, info.LastModified}, nil
}

func (m *minioStore) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	if err := checkListPrefix(prefix); err != nil {
		return err
	}
	options := minio.ListObjectsOptions{Prefix: prefix, StartAfter: after, Recursive: true, FetchOwner: new(bool)}
	for found := range m.core.ListObjectsIter(ctx, m.config.Bucket, options) {
		if found.Err != nil {
			return minioError(OpList, prefix, found.Err)
		}
		if found.Key > after && !each(Object{found.Key, found.Size, found.LastModified}) {
			return nil
		}
	}
	// The SDK ends a listing silently when its context does.
	return minioError(OpList, prefix, ctx.Err())
}

func (m *minioStore) Delete(ctx context.Context, keys []string) error {
	return deleteAll(ctx, keys, m.deleteBatch, m.deleteOne)
}

func (m *minioStore) deleteBatch(ctx context.Context, keys []string) error {
	objects := func(yield func(minio.ObjectInfo) bool) {
		for _, key := range keys {
			if !yield(minio.ObjectInfo{Key: key}) {
				return
			}
		}
	}
	results, err := m.core.RemoveObjectsWithIter(ctx, m.config.Bucket, objects, minio.RemoveObjectsOptions{})
	if err != nil {
		return minioError(OpDelete, keys[0], err)
	}
	for result := range results {
		err := minioError(OpDelete, result.ObjectName, result.Err)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return minioError(OpDelete, keys[0], ctx.Err())
}

func (m *minioStore) deleteOne(ctx context.Context, key string) error {
	return minioError(OpDelete, key, m.core.RemoveObject(ctx, m.config.Bucket, key, minio.RemoveObjectOptions{}))
}

func (m *minioStore) Capabilities() Capabilities {
	return Capabilities{IfNoneMatch: true, Driver: DriverMinIO}
}

func (m *minioStore) Close() error {
	m.transport.CloseIdleConnections()
	return nil
}

// minioError maps the SDK's errors to the sentinels.
func minioError(op Op, key string, err error) error {
	if err == nil {
		return nil
	}
	var response minio.ErrorResponse
	errors.As(err, &response)
	return wrap(op, key, sentinel(response.StatusCode, response.Code), err)
}
