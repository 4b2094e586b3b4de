package s3store

import (
	"context"
	"net/http"

	"github.com/minio/minio-go/v7"
)

const checksumHeader = "X-Amz-Checksum-Crc32c"

func (m *minioStore) Put(ctx context.Context, key string, body Body) error {
	return m.put(ctx, key, body, false)
}

func (m *minioStore) PutIfAbsent(ctx context.Context, key string, body Body) error {
	return m.put(ctx, key, body, true)
}

func (m *minioStore) put(ctx context.Context, key string, body Body, ifAbsent bool) error {
	op := putOp(ifAbsent)
	if err := checkKey(op, key); err != nil {
		return err
	}
	if size := m.config.partSize(body.Size()); body.Size() > size {
		return minioError(op, key, putParts(ctx, m, key, body, size, m.config.UploadConcurrency, ifAbsent))
	}
	return minioError(op, key, m.putSingle(ctx, key, body, ifAbsent))
}

func (m *minioStore) putSingle(ctx context.Context, key string, body Body, ifAbsent bool) error {
	s, err := sectionOf(body, 0, body.Size())
	if err != nil {
		return err
	}
	// A CRC32C, where the store takes it, spares the SHA-256 of the payload.
	options := minio.PutObjectOptions{ServerSideEncryption: m.sse, DisableContentSha256: !m.config.DisableChecksums}
	if !m.config.DisableChecksums {
		options.UserMetadata = map[string]string{checksumHeader: encodeCRC(s.crc)}
	}
	onlyIfAbsent(&options, ifAbsent)
	_, err = m.core.PutObject(ctx, m.config.Bucket, key, s, s.Size(), "", "", options)
	return err
}

func (m *minioStore) begin(ctx context.Context, key string) (string, error) {
	options := minio.PutObjectOptions{ServerSideEncryption: m.sse}
	if !m.config.DisableChecksums {
		options.UserMetadata = map[string]string{"X-Amz-Checksum-Algorithm": "CRC32C"}
	}
	return m.core.NewMultipartUpload(ctx, m.config.Bucket, key, options)
}

func (m *minioStore) part(ctx context.Context, key, id string, number int, s section) (string, error) {
	options := minio.PutObjectPartOptions{SSE: m.sse, DisableContentSha256: !m.config.DisableChecksums}
	if !m.config.DisableChecksums {
		options.CustomHeader = http.Header{checksumHeader: {encodeCRC(s.crc)}}
	}
	part, err := m.core.PutObjectPart(ctx, m.config.Bucket, key, id, number, s, s.Size(), options)
	return part.ETag, err
}

func (m *minioStore) complete(ctx context.Context, key, id string, parts []uploaded, ifAbsent bool) error {
	completed := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		completed[i] = minio.CompletePart{PartNumber: i + 1, ETag: p.etag}
		if !m.config.DisableChecksums {
			completed[i].ChecksumCRC32C = encodeCRC(p.crc)
		}
	}
	var options minio.PutObjectOptions
	onlyIfAbsent(&options, ifAbsent)
	_, err := m.core.CompleteMultipartUpload(ctx, m.config.Bucket, key, id, completed, options)
	return err
}

func (m *minioStore) abort(ctx context.Context, key, id string) error {
	return m.core.AbortMultipartUpload(ctx, m.config.Bucket, key, id)
}

func onlyIfAbsent(options *minio.PutObjectOptions, ifAbsent bool) {
	if ifAbsent {
		options.SetMatchETagExcept("*")
	}
}
