package testserver

import (
	"context"
	"io"
	"os"
	"path/filepath"
)

// The credentials of every MinIO that this package starts.
const (
	MinIOAccessKey = "varve-test"
	MinIOSecretKey = "varve-test-secret"
	// MinIORegion is the region that requests are signed for.
	MinIORegion = "us-east-1"
)

// MinIOServer is a running MinIO with one drive.
type MinIOServer struct {
	*Process
	// Endpoint is the S3 URL, "http://127.0.0.1:port".
	Endpoint string
	// AccessKey and SecretKey are the root user's.
	AccessKey, SecretKey string
}

// StartMinIO builds MinIO if need be, runs it with all its files under dir,
// which must exist, and returns when it serves. The caller closes it.
func StartMinIO(ctx context.Context, dir string, progress io.Writer) (*MinIOServer, error) {
	binary, err := Build(ctx, MinIOName, progress)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "minio.data")
	config := filepath.Join(dir, "minio.config")
	for _, path := range []string{data, config} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
	}
	ports, err := reservePorts(1)
	if err != nil {
		return nil, err
	}
	endpoint := "http://" + ports[0].addr()
	process := newProcess(dir, MinIOName, binary, ports)
	server := &MinIOServer{Process: process, Endpoint: endpoint, AccessKey: MinIOAccessKey, SecretKey: MinIOSecretKey}
	process.ready = server.listBuckets
	process.args = []string{"server", "--quiet", "--address", ports[0].addr(), "--config-dir", config, "--certs-dir", config, data}
	process.env = environment("MINIO_",
		"MINIO_REGION="+MinIORegion,
		"MINIO_UPDATE=off",
		"MINIO_CALLHOME_ENABLE=off",
		"MINIO_BROWSER=off",
		"MINIO_CI_CD=1", // its drive may be on the root file system
		// A key of its own, so that SSE-S3 and SSE-KMS work without a KMS.
		"MINIO_KMS_SECRET_KEY=varve-test-key:Yv7mDYXs4WrlJ1DnFJ4Cw0kIRCc5zXyY5pLW4S5HjDk=",
		"HOME="+dir,
	)
	server.SetRoot(MinIOAccessKey, MinIOSecretKey)
	if err := process.Start(); err != nil {
		process.Close()
		return nil, err
	}
	return server, nil
}

// SetRoot sets the root user's credentials, which the server has from its next start on.
func (m *MinIOServer) SetRoot(accessKey, secretKey string) {
	m.AccessKey, m.SecretKey = accessKey, secretKey
	m.env = append(m.env, "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey)
}
