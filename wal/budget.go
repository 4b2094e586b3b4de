package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
)

// budget compares what the journals' files take with the configuration, and with what is
// free on the disk. Its pressure is asked for often, and goes by what count and look found
// last.
type budget struct {
	cfg    *Config
	disk   *disk
	spares *spares
	log    *slog.Logger

	untrimmed atomic.Int64           // bytes of files that are still needed
	weight    atomic.Int64           // what they count for
	lacks     atomic.Int64           // files that the disk lacks room for, of lowFiles
	full      atomic.Pointer[string] // why no file can be made; nil: it can
}

// Room is what the journals' disk has room for.
type Room struct {
	Free, Total int64  // bytes
	Files       int64  // that can still be made, or be used again
	Low         bool   // these are few: producers are slowed down
	Full        string // why no further file can be made; "": it can
}

// lowFiles is how few files there must be room for before producers are slowed down: they
// are throttled before the last byte is written, and uploads make room meanwhile.
const lowFiles = 4

// mostShort is the pressure of a disk that has room for no further file: the present one
// may still take something.
const mostShort = 0.9

// room looks at the disk, with that many files that only cache what the bucket has.
func (b *budget) room(trimmed int64) (r Room) {
	r.Free, r.Total, _ = b.disk.space()
	r.Files = b.files(r.Free, trimmed)
	r.Low = r.Total > 0 && r.Files < lowFiles
	if why := b.full.Load(); why != nil {
		r.Full = *why
	}
	return r
}

// files returns how many files can be had with that much of the disk free: new ones,
// spares and trimmed ones.
func (b *budget) files(free, trimmed int64) int64 {
	return max(0, free-b.cfg.ReserveBytes)/b.cfg.FileBytes + int64(b.spares.count()) + trimmed
}

// look notes how short of room the disk is.
func (b *budget) look(trimmed int64) {
	free, total, err := b.disk.space()
	if err != nil || total == 0 {
		return
	}
	b.lacks.Store(max(0, lowFiles-b.files(free, trimmed)))
}

// count notes the bytes of the files that are still needed, and their weight.
func (b *budget) count(untrimmed, weight int64) {
	b.untrimmed.Store(untrimmed)
	b.weight.Store(weight)
}

// pressure is Store.Pressure.
func (b *budget) pressure() float64 {
	short := mostShort * float64(b.lacks.Load()) / lowFiles
	n := b.weight.Load()
	if n <= b.cfg.SoftBytes {
		return short
	}
	return max(short, min(1, float64(n-b.cfg.SoftBytes)/float64(max(1, b.cfg.HardBytes-b.cfg.SoftBytes))))
}

// admit checks the disk and the budget before another file is made.
func (b *budget) admit(size int64) error {
	if err := b.admitOnDisk(size); err != nil {
		return err
	}
	if n := b.weight.Load(); n+size > b.cfg.HardBytes {
		return fmt.Errorf("%d bytes wait for upload, with at least %d for a batch; %d are allowed", n, b.cfg.leastAppend(), b.cfg.HardBytes)
	}
	return nil
}

// admitOnDisk checks that a spare or the disk has room for a file.
func (b *budget) admitOnDisk(size int64) error {
	if b.spares.fit(size) {
		return nil
	}
	free, _, err := b.disk.space()
	if err != nil {
		return err
	}
	if free < size+b.cfg.ReserveBytes {
		return &fullError{free, b.cfg.ReserveBytes}
	}
	return nil
}

// roomAgain reports whether the disk was full, and isn't any more.
func (b *budget) roomAgain() bool {
	return b.full.Load() != nil && b.admitOnDisk(b.cfg.FileBytes) == nil
}

// noteFull keeps why no file can be made, and logs when that begins or ends.
func (b *budget) noteFull(err error) {
	was := b.full.Load()
	if err == nil {
		if b.full.Store(nil); was != nil {
			b.log.Info("disk has space for journal files again")
		}
		return
	}
	why := err.Error()
	if b.full.Store(&why); was == nil {
		b.log.Error("disk full: producers are refused when the current journal file is full", "why", why)
	}
}

// fullError is a disk that has no room for another file.
type fullError struct{ free, reserve int64 }

func (e *fullError) Error() string {
	return fmt.Sprintf("disk full: producers are refused until there is space (%d MB free, %d MB kept by journal.reserve_bytes)", e.free/1e6, e.reserve/1e6)
}

// isFull reports that an error is the disk's lack of room, not the budget's.
func isFull(err error) bool {
	var full *fullError
	return errors.As(err, &full) || errors.Is(err, syscall.ENOSPC)
}
