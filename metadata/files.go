package metadata

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

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

// keepToken is how long a token is reused. By default etcd's tokens live five minutes.
const keepToken = time.Minute

// tokens keeps the token that etcd gave for the password. Etcd's client asks for a new one for each stream,
// and each renewal of a session is a stream; checking a password costs etcd about a tenth of a second of CPU.
// Any failure drops the token. The password's file is read again for each new token, so it may be replaced
// at any time.
type tokens struct {
	file string // of the password; "" is none
	log  *slog.Logger
	mu   struct {
		sync.Mutex
		password string
		token    string // "" is none
		until    time.Time
	}
}

func newTokens(cfg Config, log *slog.Logger) *tokens {
	t := &tokens{file: cfg.PasswordFile, log: log}
	t.mu.password = cfg.Password
	return t
}

// unary is a grpc.UnaryClientInterceptor.
func (t *tokens) unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	asks, ok := request.(*pb.AuthenticateRequest)
	if !ok {
		return t.judge(ctx, invoke(ctx, method, request, reply, conn, opts...))
	}
	answer, ok := reply.(*pb.AuthenticateResponse)
	if token := t.kept(); ok && token != "" {
		answer.Token = token
		return nil
	}
	err := t.judge(ctx, invoke(ctx, method, &pb.AuthenticateRequest{Name: asks.Name, Password: t.read()}, reply, conn, opts...))
	if err == nil && ok {
		t.keep(answer.Token)
	}
	return err
}

// stream is a grpc.StreamClientInterceptor.
func (t *tokens) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(ctx, desc, conn, method, opts...)
	if t.judge(ctx, err) != nil {
		return nil, err
	}
	return &judgedStream{s, t}, nil
}

// judgedStream is a stream that drops the token when it fails.
type judgedStream struct {
	grpc.ClientStream
	tokens *tokens
}

// RecvMsg implements grpc.ClientStream.
func (s *judgedStream) RecvMsg(m any) error {
	err := s.tokens.judge(s.Context(), s.ClientStream.RecvMsg(m))
	if w, ok := m.(*pb.WatchResponse); ok && err == nil && w.Canceled {
		s.tokens.drop() // that is how a watch is told that its token isn't good
	}
	return err
}

// judge drops the token after a failure: an etcd that has restarted no longer knows it.
func (t *tokens) judge(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil {
		t.drop()
	}
	return err
}

func (t *tokens) kept() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().After(t.mu.until) {
		t.mu.token = ""
	}
	return t.mu.token
}

func (t *tokens) keep(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.token, t.mu.until = token, time.Now().Add(keepToken)
}

func (t *tokens) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.token = ""
}

// read returns the password, as the file has it now.
func (t *tokens) read() string {
	var fresh string
	var err error
	if t.file != "" {
		fresh, err = tlsfile.ReadSecret(vfs.OS{}, t.file)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.file == "":
	case err != nil:
		t.log.Error("changed password for etcd not used: the one from before stays in use", "err", err)
	case fresh != t.mu.password:
		t.mu.password = fresh
		t.log.Info("password for etcd replaced")
	}
	return t.mu.password
}
