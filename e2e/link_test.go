package e2e

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// link is a TCP proxy that stands for the cable to one server. It can be cut for one
// process without the others noticing: bytes stop in both directions, and nothing is
// closed, as with a cable that was pulled. A new connection over a cut link is
// accepted by this proxy (a real one would wait for the answer to its SYN), but
// carries nothing either.
type link struct {
	addr string
	to   string

	mu    sync.Mutex
	cut   map[int]bool          // by pid of the connecting process
	heal  chan struct{}         // closed and replaced when cuts are mended
	conns map[net.Conn]struct{} // to be closed at the end
	all   sync.WaitGroup
}

// newLink returns a proxy to an address; the test ends it.
func newLink(t *testing.T, to string) *link {
	t.Helper()
	return linkAt(t, freeAddr(t), to)
}

// linkAt returns a proxy that listens at one address to another.
func linkAt(t *testing.T, at, to string) *link {
	t.Helper()
	l := &link{to: to, cut: map[int]bool{}, heal: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	l.addr = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	l.all.Go(func() { l.serve(ctx, listener) })
	t.Cleanup(func() {
		stop()
		listener.Close()
		l.mu.Lock()
		for c := range l.conns {
			c.Close()
		}
		l.mu.Unlock()
		l.all.Wait()
	})
	return l
}

func (l *link) serve(ctx context.Context, listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		l.all.Go(func() { l.carry(ctx, c) })
	}
}

// carry connects one client. A server that refuses is passed on as a reset.
func (l *link) carry(ctx context.Context, from net.Conn) {
	l.keep(from)
	defer l.drop(from)
	pid := ownerOf(from)
	if !l.await(ctx, pid) {
		return
	}
	to, err := net.Dial("tcp", l.to)
	if err != nil {
		_ = from.(*net.TCPConn).SetLinger(0)
		return
	}
	l.keep(to)
	var both sync.WaitGroup
	both.Go(func() { l.copy(ctx, pid, to, from) })
	both.Go(func() { l.copy(ctx, pid, from, to) })
	both.Wait()
	l.drop(to)
}

func (l *link) keep(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
}

func (l *link) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	c.Close()
}

// copy carries bytes until either side ends; while the link is cut they wait, and so
// does the news of an end.
func (l *link) copy(ctx context.Context, pid int, to, from net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if !l.await(ctx, pid) {
			return
		}
		if _, failed := to.Write(buf[:n]); err == nil {
			err = failed
		}
		if err != nil {
			to.Close()
			from.Close()
			return
		}
	}
}

// await returns when the link isn't cut for a process; false at the test's end.
func (l *link) await(ctx context.Context, pid int) bool {
	for {
		l.mu.Lock()
		cut, heal := l.cut[pid] || l.cut[everybody], l.heal
		l.mu.Unlock()
		if !cut {
			return ctx.Err() == nil
		}
		select {
		case <-heal:
		case <-ctx.Done():
			return false
		}
	}
}

// everybody stands for all processes in a cut.
const everybody = -1

// sever cuts the link for a process, or for everybody.
func (l *link) sever(pid int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut[pid] = true
}

// mend ends all cuts; what waited is delivered late.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = map[int]bool{}
	close(l.heal)
	l.heal = make(chan struct{})
}

// ownerOf finds which process on this host has the other end of a connection; 0 if none
// has, as when it has ended already.
func ownerOf(c net.Conn) int {
	inode, err := inodeOf(c.RemoteAddr(), c.LocalAddr())
	if err != nil {
		return 0
	}
	want := "socket:[" + inode + "]"
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, f := range files {
		if at, err := os.Readlink(f); err == nil && at == want {
			var pid int
			if _, err := fmt.Sscanf(f, "/proc/%d/", &pid); err == nil {
				return pid
			}
		}
	}
	return 0
}

// inodeOf finds a socket in the kernel's table by both its addresses: others, and old
// ones without an inode, may have had the same port.
func inodeOf(local, remote net.Addr) (string, error) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			return "", err
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			col := strings.Fields(lines.Text())
			if len(col) > 9 && col[9] != "0" && strings.HasSuffix(col[1], inTable(local)) && strings.HasSuffix(col[2], inTable(remote)) {
				f.Close()
				return col[9], nil
			}
		}
		f.Close()
	}
	return "", io.EOF
}

// inTable is an address as the kernel's table has it: in hexadecimal, the bytes of the
// host reversed.
func inTable(a net.Addr) string {
	tcp := a.(*net.TCPAddr)
	ip := tcp.IP.To4()
	return strings.ToUpper(hex.EncodeToString([]byte{ip[3], ip[2], ip[1], ip[0]})) + fmt.Sprintf(":%04X", tcp.Port)
}
