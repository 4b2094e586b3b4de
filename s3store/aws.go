package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// awsStore is the driver over aws-sdk-go-v2. Retries are WithRetry's.
type awsStore struct {
	client *s3.Client
	http   *awshttp.BuildableClient
	config Config
}

func openAWS(ctx context.Context, config Config, base driverBase) (*awsStore, error) {
	var tuneErr error
	httpClient := awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tuneErr = errors.Join(tuneErr, config.tune(tr, base.log))
	})
	if tuneErr != nil {
		return nil, tuneErr
	}
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithHTTPClient(httpClient),
		awsconfig.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		// Other stores than AWS don't know the newer checksum headers.
		awsconfig.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		awsconfig.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if config.Region != "" {
		options = append(options, awsconfig.WithRegion(config.Region))
	}
	if files := keysOf(config, base); files != nil {
		options = append(options, awsconfig.WithCredentialsProvider(aws.CredentialsProviderFunc(files.aws)))
	} else if config.AccessKey != "" {
		options = append(options, awsconfig.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(config.AccessKey, config.SecretKey, config.SessionToken)))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	if loaded.Region == "" {
		if config.Endpoint == "" {
			return nil, errors.New("region: none is given, neither here nor in AWS's default chain")
		}
		loaded.Region = "us-east-1"
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = config.PathStyle
		o.HTTPClient = watchedClient{httpClient, base.clock}
		if config.Endpoint != "" {
			o.BaseEndpoint = aws.String(config.Endpoint)
		}
	})
	return &awsStore{client, httpClient, config}, nil
}

func (a *awsStore) Get(ctx context.Context, key string, off, length int64) (io.ReadCloser, error) {
	if err := errors.Join(checkKey(OpGet, key), checkRange(key, off, length)); err != nil {
		return nil, err
	}
	input := &s3.GetObjectInput{Bucket: &a.config.Bucket, Key: &key}
	if r := rangeHeader(off, length); r != "" {
		input.Range = &r
	}
	output, err := a.client.GetObject(ctx, input)
	if err != nil {
		return nil, awsError(OpGet, key, err)
	}
	if err := checkContentRange(key, off, length, aws.ToString(output.ContentRange)); err != nil {
		output.Body.Close()
		return nil, err
	}
	return output.Body, nil
}

func (a *awsStore) Head(ctx context.Context, key string) (Object, error) {
	if err := checkKey(OpHead, key); err != nil {
		return Object{}, err
	}
	output, err := a.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &a.config.Bucket, Key: &key})
	if err != nil {
		return Object{}, awsError(OpHead, key, err)
	}
	return Object{key, aws.ToInt64(output.ContentLength), aws.ToTime(output.LastModified)}, nil
}

func (a *awsStore) List(ctx context.Context, prefix, after string, each func(Object) bool) error {
	if err := checkListPrefix(prefix); err != nil {
		return err
	}
	input := &s3.ListObjectsV2Input{Bucket: &a.config.Bucket, Prefix: &prefix}
	if after != "" {
		input.StartAfter = &after
	}
	pages := s3.NewListObjectsV2Paginator(a.client, input)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return awsError(OpList, prefix, err)
		}
		for _, found := range page.Contents {
			object := Object{aws.ToString(found.Key), aws.ToInt64(found.Size), aws.ToTime(found.LastModified)}
			if object.Key > after && !each(object) {
				return nil
			}
		}
	}
	return nil
}

func (a *awsStore) Delete(ctx context.Context, keys []string) error {
	return deleteAll(ctx, keys, a.deleteBatch, a.deleteOne)
}

func (a *awsStore) deleteBatch(ctx context.Context, keys []string) error {
	remove := &types.Delete{Quiet: aws.Bool(true)}
	for _, key := range keys {
		remove.Objects = append(remove.Objects, types.ObjectIdentifier{Key: aws.String(key)})
	}
	output, err := a.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &a.config.Bucket, Delete: remove})
	if err != nil {
		return awsError(OpDelete, keys[0], err)
	}
	for _, failed := range output.Errors {
		code := aws.ToString(failed.Code)
		known := sentinel(0, code)
		if !errors.Is(known, ErrNotFound) {
			err := fmt.Errorf("%s: %s (%d of %d objects remain)", code, aws.ToString(failed.Message), len(output.Errors), len(keys))
			return wrap(OpDelete, aws.ToString(failed.Key), known, err)
		}
	}
	return nil
}

func (a *awsStore) deleteOne(ctx context.Context, key string) error {
	_, err := a.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a.config.Bucket, Key: &key})
	return awsError(OpDelete, key, err)
}

func (a *awsStore) Capabilities() Capabilities {
	return Capabilities{IfNoneMatch: true, Driver: DriverAWS}
}

func (a *awsStore) Close() error {
	a.http.GetTransport().CloseIdleConnections()
	return nil
}

// awsError maps the SDK's errors to the sentinels.
func awsError(op Op, key string, err error) error {
	if err == nil {
		return nil
	}
	status, code := 0, ""
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	return wrap(op, key, sentinel(status, code), err)
}

// rangeHeader is empty for a whole object, so that it may be an empty one.
func rangeHeader(off, length int64) string {
	switch {
	case length >= 0:
		return fmt.Sprintf("bytes=%d-%d", off, off+length-1)
	case off > 0:
		return fmt.Sprintf("bytes=%d-", off)
	}
	return ""
}

// checkContentRange refuses the answer of a store that ignored the range.
func checkContentRange(key string, off, length int64, header string) error {
	if rangeHeader(off, length) == "" || strings.HasPrefix(header, fmt.Sprintf("bytes %d-", off)) {
		return nil
	}
	return wrap(OpGet, key, ErrUnsupported, fmt.Errorf("asked for bytes from %d, the store sends %q", off, header))
}
