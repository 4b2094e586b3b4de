package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"varve/internal/vfs"
	"varve/kafka"
	"varve/metadata"
	"varve/s3store"
)

// pipes is a network in memory with one listener.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), ended: make(chan struct{})} }

// pipeConn has the addresses that a pipe lacks.
type pipeConn struct {
	net.Conn
	at net.Addr
}

func (c pipeConn) RemoteAddr() net.Addr { return c.at }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.ended) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9092} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- pipeConn{there, p.Addr()}:
		return here, nil
	case <-p.ended:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ownCodecs decompresses as Varve does: the client's own decoders are closed by
// finalizers, which run outside of all bubbles.
type ownCodecs struct{}

func (ownCodecs) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	return kafka.Decompress(kafka.Codec(codec), src, 1<<20)
}

// TestAgentsRunInBubbles: a whole agent with client, codecs, uploads and reads
// from the tier lives in a bubble of testing/synctest, and another after it, in
// fake time.
func TestAgentsRunInBubbles(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, fs: vfs.NewMemory(), meta: metadata.NewMemory(), bucket: s3store.NewMemory()}
			w.inBubble()
			w.inBubble()
		})
	}
}

// inBubble is one life of an agent.
func (w *world) inBubble() {
	t := w.t
	network := newPipes()
	cfg := w.config()
	cfg.HTTP = ""
	meta := w.meta.Open()
	defer meta.Close()
	a, err := New(cfg, Deps{FS: w.fs, Meta: meta, Objects: w.bucket, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Listen: func(string, string) (net.Listener, error) { return network, nil }, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case <-a.Started():
	case err := <-ended:
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:9092"), kgo.Dialer(network.dial), kgo.DefaultProduceTopic("t"),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.WithDecompressor(ownCodecs{}), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	zstd := "zstd" // so that the agent compresses
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, map[string]*string{"compression.type": &zstd}, "t"); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range 20 {
		if err := cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint("record ", i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * cfg.Upload.MaxAge) // fake time
	if s := a.owned.All()[0].State(); s.TieredEnd != s.High {
		t.Errorf("after %v: %+v", time.Since(began), s)
	}
	for n := int64(0); n < a.owned.All()[0].State().High; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		n += int64(fs.NumRecords())
	}
	cl.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
