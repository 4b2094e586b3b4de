package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"varve/internal/bench"
	"varve/internal/say"
)

// progress shows on a terminal how far long work is. The zero deadline and a
// total of 0 mean that its end is not known.
type progress struct {
	w     io.Writer
	meter *bench.Meter
	start time.Time
	total int64         // bytes in all
	done  func() int64  // of total; nil: what the meter counts
	limit time.Duration // how long it takes at most
	stop  chan struct{}
	ended chan struct{}
}

// startProgress shows a line each half second if w is a terminal, until Close.
func startProgress(w io.Writer, p progress) *progress {
	p.w, p.start, p.stop, p.ended = w, time.Now(), make(chan struct{}), make(chan struct{})
	if !isTerminal(w) {
		close(p.ended)
		return &p
	}
	go p.run()
	return &p
}

// Close wipes the line.
func (p *progress) Close() {
	if p.stop == nil {
		return // never started
	}
	close(p.stop)
	<-p.ended
}

func (p *progress) run() {
	defer close(p.ended)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(p.w, "\r\x1b[K%s", p.line(time.Since(p.start)))
		case <-p.stop:
			fmt.Fprint(p.w, "\r\x1b[K")
			return
		}
	}
}

func (p *progress) line(took time.Duration) string {
	bytes, records := p.meter.Bytes.Load(), p.meter.Records.Load()
	text := fmt.Sprintf("%s, %s, %s/s", say.Count(records, "record"), say.Bytes(bytes), say.Bytes(int64(float64(bytes)/took.Seconds())))
	done := bytes
	if p.done != nil {
		done = p.done()
	}
	var left time.Duration
	if p.total > 0 && done > 0 {
		left = time.Duration(float64(took) * float64(p.total-min(done, p.total)) / float64(done))
		text += fmt.Sprintf(", %d %%", min(100, done*100/p.total))
	}
	if p.limit > 0 && (left == 0 || p.limit-took < left) {
		left = p.limit - took
	}
	if left > 0 {
		text += fmt.Sprintf(", %v to go", left.Round(time.Second))
	}
	return text
}

// isTerminal reports whether a reader or writer is one.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
