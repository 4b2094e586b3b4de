package e2e

import (
	"context"
	wire "encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// resident returns what a process has in memory, and how much of it no file backs, in bytes.
func resident(pid int) (all, anonymous int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	value := func(name string) int64 {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, name); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				return n << 10
			}
		}
		return 0
	}
	return value("VmRSS:"), value("RssAnon:"), nil
}

// watchMemory samples what a process has in memory until the returned function is called,
// which returns the most that was seen.
func watchMemory(pid int) (stop func() (most, anonymous int64)) {
	done, ended := make(chan struct{}), make(chan struct{})
	var most, anon int64
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if a, b, err := resident(pid); err == nil {
				most, anon = max(most, a), max(anon, b)
			}
		}
	}()
	return func() (int64, int64) {
		close(done)
		<-ended
		return most, anon
	}
}

// memoryLoad is all that makes an agent use memory, at once.
type memoryLoad struct {
	*testing.T
	kafka string
	wg    sync.WaitGroup

	produced, fetched, refused atomic.Int64
	conns                      atomic.Int32
}

// client makes a client of topic "loaded" whose errors are part of the load.
func (l *memoryLoad) client(opts ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(l.kafka), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("loaded"), kgo.UnknownTopicRetries(100)}, opts...)...)
	if err != nil {
		l.Fatal(err)
	}
	return c
}

// produce sends batches of one codec as fast as it goes, of records that compress to half, or
// to next to nothing.
func (l *memoryLoad) produce(ctx context.Context, codec kgo.CompressionCodec, batch int32, dense bool, seed uint64) {
	c := l.client(kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(batch), kgo.MaxBufferedBytes(20<<20), kgo.ProducerLinger(5*time.Millisecond))
	defer c.Close()
	random := rand.New(rand.NewPCG(seed, 1))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = "0123456789abcdef"[random.IntN(16)]
	}
	least, most := 100, 4000
	if dense {
		clear(noise)
		least, most = 100_000, 1_000_000
	}
	for ctx.Err() == nil {
		n := least + random.IntN(most-least)
		at := random.IntN(len(noise) - n)
		c.Produce(ctx, &kgo.Record{Value: noise[at : at+n]}, func(_ *kgo.Record, err error) {
			if err != nil {
				l.refused.Add(1)
			} else {
				l.produced.Add(int64(n))
			}
		})
	}
}

// consume reads the topic again and again, from its start or from its end.
func (l *memoryLoad) consume(ctx context.Context, from kgo.Offset) {
	for ctx.Err() == nil {
		c := l.client(kgo.ConsumeTopics("loaded"), kgo.ConsumeResetOffset(from), kgo.FetchMaxBytes(50<<20), kgo.FetchMaxPartitionBytes(10<<20), kgo.MaxConcurrentFetches(1))
		for until := time.Now().Add(3 * time.Second); ctx.Err() == nil && time.Now().Before(until); {
			fetched := c.PollFetches(ctx)
			fetched.EachRecord(func(r *kgo.Record) { l.fetched.Add(int64(len(r.Value))) })
		}
		c.Close()
	}
}

// connect keeps a connection that sends the start of a request, most of it, and no more.
func (l *memoryLoad) connect(ctx context.Context, size int) {
	var d net.Dialer
	for ctx.Err() == nil {
		c, err := d.DialContext(ctx, "tcp", l.kafka)
		if err != nil {
			return
		}
		l.conns.Add(1)
		head := wire.BigEndian.AppendUint32(nil, uint32(size))
		head = append(head, 0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff)
		_ = c.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err = c.Write(append(head, make([]byte, size-11)...)); err == nil {
			_, _ = io.Copy(io.Discard, c) // until the deadline, or the broker's end
		}
		c.Close()
		l.conns.Add(-1)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// idle opens connections that ask for nothing.
func (l *memoryLoad) idle(ctx context.Context, n int) {
	for range n {
		c, err := net.Dial("tcp", l.kafka)
		if err != nil {
			return
		}
		l.wg.Go(func() {
			<-ctx.Done()
			c.Close()
		})
	}
}

// stall asks for as much as a fetch may return, and doesn't read it.
func (l *memoryLoad) stall(ctx context.Context) {
	c := l.client(kgo.ConsumeTopics("loaded"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(50<<20),
		kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, network, addr)
			return slowConn{c}, err
		}))
	defer c.Close()
	for ctx.Err() == nil {
		c.PollFetches(ctx)
	}
}

// slowConn reads a little at a time.
type slowConn struct{ net.Conn }

func (c slowConn) Read(p []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return c.Conn.Read(p[:min(len(p), 16<<10)])
}

func (l *memoryLoad) start(ctx context.Context) {
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	for i, codec := range codecs {
		l.wg.Go(func() { l.produce(ctx, codec, 900<<10, false, uint64(i)) })
		l.wg.Go(func() { l.produce(ctx, codec, 40<<10, false, uint64(10+i)) })
		if i > 0 {
			l.wg.Go(func() { l.produce(ctx, codec, 8<<20, true, uint64(20+i)) })
		}
	}
	for range 4 {
		l.wg.Go(func() { l.consume(ctx, kgo.NewOffset().AtStart()) })
		l.wg.Go(func() { l.consume(ctx, kgo.NewOffset().AtEnd()) })
	}
	for range 8 {
		l.wg.Go(func() { l.stall(ctx) })
	}
	for i := range 40 {
		l.wg.Go(func() { l.connect(ctx, []int{100 << 10, 1 << 20, 2 << 20, 5 << 20}[i%4]) })
	}
	l.wg.Go(func() { l.idle(ctx, 100) }) // with those above fewer than kafka.max_connections at 256 MiB, or consumers get in by luck
}

// limits are flags that keep disks small, and uploads and reads from the bucket frequent.
var limits = []string{"--upload-max-age", "2s", "--journal-keep-bytes", "64MiB", "--journal-reserve-bytes", "0", "--journal-spare-bytes", "128MiB",
	"--journal-soft-bytes", "1GiB", "--journal-hard-bytes", "2GiB", "--kafka-default-partitions", "12", "--pprof"}

// underLoad loads agents, of which each may have so much in memory, for a while.
func underLoad(t *testing.T, kafka string, agents map[string]*process, limit int64, lasts time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	stops := map[string]func() (int64, int64){}
	for http, p := range agents {
		stops[http] = watchMemory(p.cmd.Process.Pid)
	}
	l := &memoryLoad{T: t, kafka: kafka}
	l.start(ctx)
	reported := map[string]int64{}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		for http, p := range agents {
			reported[http] = max(reported[http], metricAt(t, http, "varve_memory_total_used_bytes"))
			noteHeap(http, p, limit)
			select {
			case <-p.done:
				t.Fatal("an agent ended")
			default:
			}
		}
	}
	l.wg.Wait()
	var tiered int64
	for http, stop := range stops {
		most, anonymous := stop()
		tiered += metricAt(t, http, "varve_tier_read_served_bytes_total")
		t.Logf("%d MB resident at most, %d MB of them anonymous, %d MB by the agent's own count", most>>20, anonymous>>20, reported[http]>>20)
		if most > limit || reported[http] > limit {
			t.Errorf("%d MB were resident, %d are allowed", most>>20, limit>>20)
		}
		if reported[http] == 0 {
			t.Error("the agent's own count was never read")
		}
	}
	t.Logf("%d MB were produced, %d MB fetched, %d MB of them from the bucket", l.produced.Load()>>20, l.fetched.Load()>>20, tiered>>20)
	if l.produced.Load() == 0 || l.fetched.Load() == 0 {
		t.Error("there was no load")
	}
}

// noteHeap writes a heap profile to HEAP_PROFILE when a process has nearly all that it may.
func noteHeap(http string, p *process, limit int64) {
	file := os.Getenv("HEAP_PROFILE")
	if all, _, _ := resident(p.cmd.Process.Pid); file != "" && all > limit/20*19 {
		if text, err := get("http://" + http + "/debug/pprof/heap"); err == nil {
			_ = os.WriteFile(file, []byte(text), 0o600)
		}
	}
}

// metricAt returns the sum of a metric's values, 0 if it can't be had now.
func metricAt(t *testing.T, http, name string) (sum int64) {
	page, err := get("http://" + http + "/metrics")
	if err != nil {
		return 0
	}
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllStringSubmatch(page, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Error(err)
		}
		sum += int64(v)
	}
	return sum
}

// memoryFor returns for how long agents are loaded: MEMORY_TEST, or briefly.
func memoryFor(t *testing.T) (lasts time.Duration, whole bool) {
	text, whole := os.LookupEnv("MEMORY_TEST")
	if !whole {
		return 6 * time.Second, false
	}
	lasts, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return lasts, true
}

// Promise 7: whatever clients do, the process never has more in memory than the setting
// memory allows.
func TestMemoryIsNeverExceeded(t *testing.T) {
	lasts, whole := memoryFor(t)
	for _, c := range []struct {
		memory string
		limit  int64
	}{{"256MiB", 256 << 20}, {"1GiB", 1 << 30}, {"4GiB", 4 << 30}} {
		if c.limit > 1<<30 && !whole {
			continue
		}
		t.Run(c.memory, func(t *testing.T) {
			kafka, http := freeAddr(t), freeAddr(t)
			p := run(t, append([]string{"dev", "--data", t.TempDir(), "--kafka-listen", kafka, "--http-listen", http, "--memory", c.memory}, limits...)...)
			awaitPage(t, p, "http://"+http+"/readyz")
			underLoad(t, kafka, map[string]*process{http: p}, c.limit, lasts)
		})
	}
}

// The same for agents that keep each other's journals.
func TestMemoryOfAClusterIsNeverExceeded(t *testing.T) {
	lasts, whole := memoryFor(t)
	if !whole {
		t.Skip("it takes a while: make memory-test")
	}
	c := newCluster(t, append([]string{"--memory", "256MiB"}, limits...)...)
	agents := map[string]*process{}
	for _, m := range c.agents {
		agents[m.http] = m.process
	}
	underLoad(t, c.agents[0].kafka, agents, 256<<20, lasts)
}

// What a load has left behind goes back to the system within a minute: an idle agent is small.
func TestMemoryIsGivenBack(t *testing.T) {
	if _, whole := memoryFor(t); !whole {
		t.Skip("it waits for up to a minute: make memory-test")
	}
	s := newSite(t, "--memory", "2GiB")
	s.start()
	idleIsSmall(t, s.kafka, s.agent.cmd.Process.Pid, "an agent")
	s.agent.stop()
	kafka := freeAddr(t)
	p := dev(t, nil, "--kafka-listen", kafka, "--memory", "2GiB", "--upload-max-age", "2s")
	idleIsSmall(t, kafka, p.cmd.Process.Pid, "varve dev")
}

const idleBytes = 100 << 20

func idleIsSmall(t *testing.T, kafka string, pid int, what string) {
	t.Helper()
	stop := watchMemory(pid)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l := &memoryLoad{T: t, kafka: kafka}
	l.start(ctx)
	l.wg.Wait()
	most, _ := stop()
	ended := time.Now()
	var all, anonymous int64
	poll(t, 90*time.Second, "memory given back", func() (err error) {
		all, anonymous, err = resident(pid)
		if err == nil && all > idleBytes {
			err = fmt.Errorf("%d MB are resident, %d MB of them anonymous", all>>20, anonymous>>20)
		}
		return err
	})
	took := time.Since(ended)
	t.Logf("%s had %d MB resident under load, and %d MB (%d MB anonymous) %v after it", what, most>>20, all>>20, anonymous>>20, took.Round(time.Second))
	if took > time.Minute {
		t.Errorf("%s took %v to give memory back", what, took)
	}
}
