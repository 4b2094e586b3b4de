package s3store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func (a *awsStore) Put(ctx context.Context, key string, body Body) error {
	return a.put(ctx, key, body, false)
}

func (a *awsStore) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return a.put(ctx, key, body, true)
}

func (a *awsStore) put(ctx context.Context, key string, body Body, ifAbsent bool) error {
	op := putOp(ifAbsent)
	if err := checkKey(op, key); err != nil {
		return err
	}
	if size := a.config.partSize(body.Size()); body.Size() > size {
		return awsError(op, key, putParts(ctx, a, key, body, size, a.config.UploadConcurrency, ifAbsent))
	}
	return awsError(op, key, a.putSingle(ctx, key, body, ifAbsent))
}

func (a *awsStore) putSingle(ctx context.Context, key string, body Body, ifAbsent bool) error {
	s, err := sectionOf(body, 0, body.Size())
	if err != nil {
		return err
	}
	_, err = a.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &a.config.Bucket, Key: &key,
		Body: s, ContentLength: aws.Int64(s.Size()), ChecksumCRC32C: a.checksum(s.crc),
		IfNoneMatch:          ifNoneMatch(ifAbsent),
		ServerSideEncryption: a.sse(), SSEKMSKeyId: a.sseKey(),
	}, a.payload)
	return err
}

// payload spares the SHA-256 of the payload where a CRC32C protects it: hashing
// costs more CPU than all else that an upload does.
func (a *awsStore) payload(o *s3.Options) {
	if !a.config.DisableChecksums {
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
}

func (a *awsStore) begin(ctx context.Context, key string) (string, error) {
	input := &s3.CreateMultipartUploadInput{
		Bucket: &a.config.Bucket, Key: &key,
		ServerSideEncryption: a.sse(), SSEKMSKeyId: a.sseKey(),
	}
	if !a.config.DisableChecksums {
		input.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c
	}
	output, err := a.client.CreateMultipartUpload(ctx, input)
	if err != nil {
		return "", err
	}
	return aws.ToString(output.UploadId), nil
}

func (a *awsStore) part(ctx context.Context, key, id string, number int, s section) (string, error) {
	output, err := a.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &a.config.Bucket, Key: &key, UploadId: &id, PartNumber: aws.Int32(int32(number)),
		Body: s, ContentLength: aws.Int64(s.Size()), ChecksumCRC32C: a.checksum(s.crc),
	}, a.payload)
	if err != nil {
		return "", err
	}
	return aws.ToString(output.ETag), nil
}

func (a *awsStore) complete(ctx context.Context, key, id string, parts []uploaded, ifAbsent bool) error {
	completed := &types.CompletedMultipartUpload{}
	for i, p := range parts {
		completed.Parts = append(completed.Parts, types.CompletedPart{
			PartNumber: aws.Int32(int32(i + 1)), ETag: aws.String(p.etag), ChecksumCRC32C: a.checksum(p.crc),
		})
	}
	output, err := a.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &a.config.Bucket, Key: &key, UploadId: &id,
		MultipartUpload: completed, IfNoneMatch: ifNoneMatch(ifAbsent),
	})
	if err == nil && aws.ToString(output.ETag) == "" {
		err = fmt.Errorf("the store's answer names no object")
	}
	return err
}

func (a *awsStore) abort(ctx context.Context, key, id string) error {
	_, err := a.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &a.config.Bucket, Key: &key, UploadId: &id,
	})
	return err
}

func (a *awsStore) checksum(crc uint32) *string {
	if a.config.DisableChecksums {
		return nil
	}
	return aws.String(encodeCRC(crc))
}

func (a *awsStore) sse() types.ServerSideEncryption {
	if a.config.SSE == SSENone {
		return ""
	}
	return types.ServerSideEncryption(a.config.SSE)
}

func (a *awsStore) sseKey() *string {
	if a.config.SSEKMSKeyID == "" {
		return nil
	}
	return &a.config.SSEKMSKeyID
}

func ifNoneMatch(ifAbsent bool) *string {
	if !ifAbsent {
		return nil
	}
	return aws.String("*")
}
