package metadata

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"varve/internal/settings"
	"varve/internal/tlsfile"
	"varve/internal/vfs"
)

// fileCreds reads the files of TLS again for each connection, so they may be replaced at any time.
// If they can't be used, those that were used last are.
type fileCreds struct {
	credentials.TransportCredentials // of the files as they were at first
	cfg                              Config
	log                              *slog.Logger
	last                             *atomic.Pointer[tls.Config]
}

func newFileCreds(cfg Config, now *tls.Config, log *slog.Logger) fileCreds {
	f := fileCreds{credentials.NewTLS(now), cfg, log, new(atomic.Pointer[tls.Config])}
	f.last.Store(now)
	return f
}

// ClientHandshake implements credentials.TransportCredentials. With a server name configured it
// checks every server for that one; gRPC alone would check the host of the endpoint.
func (f fileCreds) ClientHandshake(ctx context.Context, host string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	fresh, err := f.cfg.client()
	if err != nil {
		f.log.Error("changed files of etcd's TLS not used: those from before stay in use", "err", err)
		fresh = f.last.Load()
	}
	f.last.Store(fresh)
	if f.cfg.TLS.ServerName != "" {
		host = f.cfg.TLS.ServerName
	}
	return credentials.NewTLS(fresh).ClientHandshake(ctx, host, conn)
}

// Clone implements credentials.TransportCredentials.
func (f fileCreds) Clone() credentials.TransportCredentials {
	f.TransportCredentials = f.TransportCredentials.Clone()
	return f
}

// passwords reads the password for etcd again whenever etcd's client asks for a token, which it
// does after the one it has was refused: the file may be replaced at any time.
type passwords struct {
	file string
	log  *slog.Logger
	last atomic.Pointer[string]
}

func newPasswords(cfg Config, log *slog.Logger) *passwords {
	p := &passwords{file: cfg.PasswordFile, log: log}
	p.last.Store(&cfg.Password)
	return p
}

// intercept is a grpc.UnaryClientInterceptor.
func (p *passwords) intercept(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if r, ok := request.(*pb.AuthenticateRequest); ok {
		request = &pb.AuthenticateRequest{Name: r.Name, Password: p.read()}
	}
	return invoke(ctx, method, request, reply, conn, opts...)
}

func (p *passwords) read() string {
	text, err := settings.ReadSecret(p.file, func(name string, limit int64) ([]byte, error) { return tlsfile.ReadPrivate(vfs.OS{}, name, limit) })
	if err != nil {
		p.log.Error("changed password for etcd not used: the one from before stays in use", "err", err)
		return *p.last.Load()
	}
	p.last.Store(&text)
	return text
}
