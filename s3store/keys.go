package s3store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// lookAtKeys is how often files of credentials are read again.
const lookAtKeys = 5 * time.Second

// keys are static credentials.
type keys struct{ access, secret, token string }

// fileKeys are static credentials by files that may be replaced at any time. It is a provider
// for both SDKs.
type fileKeys struct {
	config Config
	log    *slog.Logger
	now    func() time.Time

	mu struct {
		sync.Mutex
		used   keys
		last   keys   // that were read
		failed string // why they couldn't be read last time
		looked time.Time
		looks  bool // somebody does now: a file system that hangs holds up one request, not all
	}
}

// keysOf returns the provider of the credentials that have files, or nil.
func keysOf(config Config, base driverBase) *fileKeys {
	if config.AccessKeyFile == "" && config.SecretKeyFile == "" && config.SessionTokenFile == "" {
		return nil
	}
	f := &fileKeys{config: config, log: base.log, now: base.now}
	f.mu.used = keys{config.AccessKey, config.SecretKey, config.SessionToken}
	f.mu.last, f.mu.looked = f.mu.used, f.now()
	return f
}

// get returns the credentials. New ones count once the files held the same twice: two files
// aren't replaced at once.
func (f *fileKeys) get() keys {
	if used, due := f.due(); !due {
		return used
	}
	fresh, err := f.read()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.looks = false
	why := ""
	if err != nil {
		why = err.Error()
	}
	if why != f.mu.failed && why != "" {
		f.log.Error("changed credentials of the object store not used: those from before stay in use", "err", err)
	}
	f.mu.failed = why
	if err != nil {
		return f.mu.used
	}
	if fresh == f.mu.last && fresh != f.mu.used {
		f.mu.used = fresh
		f.log.Info("credentials of the object store replaced")
	}
	f.mu.last = fresh
	return f.mu.used
}

// due reports whether it is time for the caller to look at the files, and returns what is used until then.
func (f *fileKeys) due() (used keys, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.looks || f.now().Sub(f.mu.looked) < lookAtKeys {
		return f.mu.used, false
	}
	f.mu.looks, f.mu.looked = true, f.now()
	return f.mu.used, true
}

// read reads the files. What has none stays.
func (f *fileKeys) read() (keys, error) {
	fresh := keys{f.config.AccessKey, f.config.SecretKey, f.config.SessionToken}
	var errs []error
	for _, k := range []struct {
		file string
		to   *string
	}{{f.config.AccessKeyFile, &fresh.access}, {f.config.SecretKeyFile, &fresh.secret}, {f.config.SessionTokenFile, &fresh.token}} {
		if k.file == "" {
			continue
		}
		text, err := tlsfile.ReadSecret(vfs.OS{}, k.file)
		*k.to = text
		errs = append(errs, err)
	}
	return fresh, errors.Join(errs...)
}

// Retrieve implements minio-go's credentials.Provider.
func (f *fileKeys) Retrieve() (credentials.Value, error) {
	k := f.get()
	return credentials.Value{AccessKeyID: k.access, SecretAccessKey: k.secret, SessionToken: k.token, SignerType: credentials.SignatureV4}, nil
}

// RetrieveWithCredContext implements minio-go's credentials.Provider.
func (f *fileKeys) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return f.Retrieve()
}

// IsExpired implements minio-go's credentials.Provider: nothing else keeps what get returned.
func (f *fileKeys) IsExpired() bool { return true }

// aws returns aws-sdk-go-v2's provider, whose results are kept for a moment.
func (f *fileKeys) aws(context.Context) (aws.Credentials, error) {
	k := f.get()
	return aws.Credentials{AccessKeyID: k.access, SecretAccessKey: k.secret, SessionToken: k.token, Source: "files", CanExpire: true, Expires: f.now().Add(time.Second)}, nil
}
