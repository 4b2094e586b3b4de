package s3store

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The drivers.
const (
	// DriverAWS is aws-sdk-go-v2, for AWS S3.
	DriverAWS = "aws"
	// DriverMinIO is minio-go, for MinIO and other S3-compatible servers.
	DriverMinIO = "minio"
	// DriverDir keeps objects in a directory.
	DriverDir = "dir"
	// DriverMemory keeps objects in memory; they are gone with the process.
	DriverMemory = "memory"
)

// Server-side encryption.
const (
	// SSENone leaves it to the bucket's default.
	SSENone = "none"
	// SSES3 is encryption with keys that the store manages.
	SSES3 = "AES256"
	// SSEKMS is encryption with a key of a key management service.
	SSEKMS = "aws:kms"
)

// S3's own limits of parts, in bytes and in number.
const (
	minPartBytes = 5 << 20
	maxPartBytes = 5 << 30
	maxParts     = 10_000
)

// Config is which store to use and how. Start from DefaultConfig.
type Config struct {
	// Driver is "aws", "minio", "dir" or "memory".
	Driver string `yaml:"driver" doc:"'aws', 'minio', 'dir' or 'memory'"`
	// Directory holds the objects of driver dir.
	Directory string `yaml:"directory" doc:"holds the objects of driver dir"`
	// Bucket is the bucket's name. It must exist.
	Bucket string `yaml:"bucket" doc:"the bucket's name. It must exist"`
	// Endpoint is the server's URL, "https://host:port". Driver minio needs it; for
	// driver aws an empty one means AWS itself.
	Endpoint string `yaml:"endpoint" doc:"the server's URL, 'https://host:port'. Driver minio needs it; for driver aws an empty one means AWS itself"`
	// Region is the bucket's region. Empty: that of AWS's default chain, or the
	// server's own for driver minio; us-east-1 with an endpoint.
	Region string `yaml:"region" doc:"the bucket's region. Empty: that of AWS's default chain, or the server's own for driver minio; us-east-1 with an endpoint"`
	// PathStyle put the bucket's name into the path of URLs, not into the host name.
	PathStyle bool `yaml:"path_style" doc:"put the bucket name into the path of URLs instead of the host name"`
	// Prefix stands before every key. It may end with a slash, which is added
	// otherwise. Clusters that share a bucket need prefixes of which none begins
	// with another.
	Prefix string `yaml:"prefix" doc:"prefix of every key; a slash is added at the end. Clusters that share a bucket need prefixes of which none begins with another"`

	// AdoptBucket is a decision that the agent acts on; the store doesn't.
	AdoptBucket string `yaml:"adopt_bucket" doc:"id of another cluster whose bucket and prefix this cluster takes over; that cluster's objects are given up. 'unmarked' takes over a bucket with objects and no marker. Empty: such a bucket is refused"`
	// AllowLocal too.
	AllowLocal bool `yaml:"allow_local" doc:"allow driver dir with several agents, which must share the directory (NFS), and driver memory with 'varve agent', whose objects are lost when it exits"`

	// AccessKey, SecretKey and SessionToken are static credentials. Empty: the
	// default chain (environment, shared files, instance or container role).
	AccessKey    string `yaml:"access_key" secret:"true" doc:"static credentials. Empty: the default chain (environment, shared files, instance or container role)"`
	SecretKey    string `yaml:"secret_key" secret:"true" doc:"static credentials. Empty: the default chain (environment, shared files, instance or container role)"`
	SessionToken string `yaml:"session_token" secret:"true" doc:"static credentials. Empty: the default chain (environment, shared files, instance or container role)"`

	// The files are where the credentials are read from, again when they change.
	AccessKeyFile    string `yaml:"access_key_file" doc:"file with the access key; read again when it changes"`
	SecretKeyFile    string `yaml:"secret_key_file" doc:"file with the secret key; read again when it changes"`
	SessionTokenFile string `yaml:"session_token_file" doc:"file with the session token; read again when it changes"`

	// SSE is "none", "AES256" or "aws:kms".
	SSE string `yaml:"sse" doc:"'none', 'AES256' or 'aws:kms'"`
	// SSEKMSKeyID is the key of aws:kms. Empty: the bucket's or account's default.
	SSEKMSKeyID string `yaml:"sse_kms_key_id" doc:"the key of aws:kms. Empty: the bucket's or account's default"`

	// TLS applies when the endpoint is https.
	TLS TLSConfig `yaml:"tls" doc:"applies when the endpoint is https"`

	// PartSizeBytes is the size of the parts in which larger objects go up; it
	// grows for objects that would have more than 10,000.
	PartSizeBytes int64 `yaml:"part_size_bytes" doc:"part size of multipart uploads; larger for objects that would have more than 10,000 parts"`
	// UploadConcurrency is how many parts of one object are uploaded at once.
	UploadConcurrency int `yaml:"upload_concurrency" doc:"maximum number of concurrent part uploads of one object"`
	// DisableChecksums leaves the CRC32C of objects and parts out of requests, for
	// stores that refuse it. The SDK then signs the payload instead.
	DisableChecksums bool `yaml:"disable_checksums" doc:"do not send CRC32C checksums of objects and parts, for stores that refuse them; the SDK signs the payload instead"`
	// MaxConnections most connections to the store; further requests wait.
	MaxConnections int `yaml:"max_connections" doc:"maximum number of connections to the store; further requests wait"`

	// RequestTimeout bounds one attempt of a request, without the time that its
	// bytes take at 256 KiB/s.
	RequestTimeout time.Duration `yaml:"request_timeout" doc:"timeout of one attempt, plus the time that its bytes take at 256 KiB/s"`
	// StallTimeout timeout of a download that receives no byte.
	StallTimeout time.Duration `yaml:"stall_timeout" doc:"abort a download that received nothing for this long"`
	// Retry is how often and when transient errors are tried again.
	Retry RetryPolicy `yaml:"retry" doc:"says how often and when transient errors are tried again"`
}

// TLSConfig is which certificates to trust.
type TLSConfig struct {
	// CAFile is PEM file of authorities that are trusted in addition to the system's.
	CAFile string `yaml:"ca_file" doc:"PEM file of certificate authorities to trust in addition to the system's"`
	// InsecureSkipVerify accept any certificate; for tests only.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" doc:"accept any certificate; for tests only"`
}

// DefaultConfig has every default; driver and place are left to choose.
func DefaultConfig() Config {
	return Config{
		SSE:               SSENone,
		PartSizeBytes:     16 << 20,
		UploadConcurrency: 4,
		MaxConnections:    128,
		RequestTimeout:    30 * time.Second,
		StallTimeout:      15 * time.Second,
		Retry:             DefaultRetryPolicy(),
	}
}

// Validate returns all that is wrong, each with the field, its value and what
// is allowed.
func (c Config) Validate() error {
	var errs []error
	bad := func(field string, value any, allowed string) {
		errs = append(errs, fmt.Errorf("%s: %#v is not allowed: %s", field, value, allowed))
	}
	switch c.Driver {
	case DriverAWS, DriverMinIO:
		c.validateS3(bad)
	case DriverDir:
		if c.Directory == "" {
			bad("directory", c.Directory, "driver dir needs the path of a directory")
		}
	case DriverMemory:
	default:
		bad("driver", c.Driver, "one of aws, minio, dir, memory. aws needs store.bucket, minio store.bucket and store.endpoint, dir store.directory")
	}
	if prefix := strings.TrimSuffix(c.Prefix, "/"); prefix != "" && (keyProblem(prefix) != "" || len(prefix) >= MaxPrefixBytes) {
		bad("prefix", c.Prefix, fmt.Sprintf("at most %d letters, digits and / . _ = -, without empty, \".\" or \"..\" segments", MaxPrefixBytes-1))
	}
	c.validateLimits(bad)
	return errors.Join(errs...)
}

func (c Config) validateS3(bad func(field string, value any, allowed string)) {
	if c.Bucket == "" || strings.ContainsAny(c.Bucket, "/ ") {
		bad("bucket", c.Bucket, "the name of a bucket")
	}
	if c.Endpoint != "" || c.Driver == DriverMinIO {
		u, err := url.Parse(c.Endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
			shown := c.Endpoint
			if at := strings.LastIndexByte(shown, '@'); at >= 0 {
				shown = "(hidden)" + shown[at:]
			}
			bad("endpoint", shown, "must be a URL such as https://host:9000, without path or user")
		}
	}
	// What is wrong with a file is said where it is read.
	access, secret := c.AccessKey != "" || c.AccessKeyFile != "", c.SecretKey != "" || c.SecretKeyFile != ""
	if access != secret {
		bad("access_key", "(hidden)", "access_key and secret_key are given together or not at all")
	}
	if (c.SessionToken != "" || c.SessionTokenFile != "") && !access {
		bad("session_token", "(hidden)", "it needs access_key and secret_key")
	}
	if !slices.Contains([]string{"", SSENone, SSES3, SSEKMS}, c.SSE) {
		bad("sse", c.SSE, "one of none, AES256, aws:kms")
	}
	if c.SSEKMSKeyID != "" && c.SSE != SSEKMS {
		bad("sse_kms_key_id", c.SSEKMSKeyID, "only with sse aws:kms")
	}
}

func (c Config) validateLimits(bad func(field string, value any, allowed string)) {
	if c.PartSizeBytes < minPartBytes || c.PartSizeBytes > maxPartBytes {
		bad("part_size_bytes", c.PartSizeBytes, fmt.Sprintf("%d to %d", minPartBytes, int64(maxPartBytes)))
	}
	if c.UploadConcurrency < 1 || c.UploadConcurrency > 64 {
		bad("upload_concurrency", c.UploadConcurrency, "1 to 64")
	}
	if c.MaxConnections < 1 || c.MaxConnections > 10_000 {
		bad("max_connections", c.MaxConnections, "1 to 10000")
	}
	if c.RequestTimeout <= 0 {
		bad("request_timeout", c.RequestTimeout.String(), "more than 0s")
	}
	if c.StallTimeout <= 0 {
		bad("stall_timeout", c.StallTimeout.String(), "more than 0s")
	}
	if c.Retry.Attempts < 1 || c.Retry.Attempts > 100 {
		bad("retry.attempts", c.Retry.Attempts, "1 to 100")
	}
	if c.Retry.Base <= 0 || c.Retry.Max < c.Retry.Base {
		bad("retry.base", c.Retry.Base.String(), "more than 0s and at most retry.max, "+c.Retry.Max.String())
	}
}

// Place names the store and where in it objects go, without secrets.
func (c Config) Place() string {
	switch c.Driver {
	case DriverDir:
		return strings.TrimSuffix("dir "+c.Directory+" "+c.Prefix, " ")
	case DriverMemory:
		return DriverMemory
	}
	return strings.TrimSuffix(fmt.Sprintf("%s %s/%s/%s", c.Driver, c.Endpoint, c.Bucket, c.Prefix), "/")
}

// LogValue shows where the store is and hides the secrets.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("driver", c.Driver), slog.String("directory", c.Directory),
		slog.String("endpoint", c.Endpoint), slog.String("bucket", c.Bucket),
		slog.String("prefix", c.Prefix), slog.String("region", c.Region), slog.String("sse", c.SSE),
	)
}

// partSize returns the size of the parts of an object of size bytes.
func (c Config) partSize(size int64) int64 {
	return max(c.PartSizeBytes, (size+maxParts-1)/maxParts)
}
