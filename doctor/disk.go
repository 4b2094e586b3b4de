package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"varve/internal/say"
	"varve/internal/vfs"
)

const (
	syncBytes   = 16 << 10 // a small group commit
	syncTimes   = 200
	streamBytes = 32 << 20
	freeParts   = 4 // no more is written than a part of what is free: others may need the rest
	streamWrite = 1 << 20
	diskPhase   = 2 * time.Second // for each of the two measurements

	syncSlow     = 10 * time.Millisecond  // median: every acknowledgement waits for it
	syncStalls   = 100 * time.Millisecond // 99th percentile
	streamSlowly = 50 << 20               // bytes in a second
)

// disk judges the data directory and the disk below it.
func disk(ctx context.Context, x *examination) []Finding {
	const name = "disk"
	if _, err := x.FS.List(x.DataDir); errors.Is(err, vfs.ErrNotExist) {
		return []Finding{warning(name, "make it, owned by the user that the agent runs as, on the disk that is meant for it, and run 'varve doctor' again", "%s is not there: the disk was not examined", x.DataDir)}
	} else if err != nil {
		return []Finding{failure(name, "let the user that the agent runs as read and write it", "%v", err)}
	}
	found := []Finding{suited(name, x.DataDir), x.space(name)}
	most := x.mayWrite()
	if most < syncTimes*syncBytes {
		return append(found, failure(name, "make room there, and run 'varve doctor' again", "too little is free to measure how quickly it writes"))
	}
	m, err := x.measure(ctx, most)
	if err != nil {
		return append(found, failure(name, "let the user that the agent runs as write there; a disk that is full or broken is another reason", "write a temporary file: %v", err))
	}
	return append(found, m.synced(name), m.streamed(name))
}

func suited(name, dir string) Finding {
	fs, misfit, level := fileSystem(dir)
	switch {
	case fs == "":
		return ok(name, "%s is on a file system that is not known here", dir)
	case misfit == "":
		return ok(name, "%s is on %s", dir, fs)
	}
	return Finding{name, level, fmt.Sprintf("%s is on %s: %s", dir, fs, misfit), "set data_dir to a directory on a local disk with ext4 or xfs"}
}

// space judges whether there is room for the agent's files.
func (x *examination) space(name string) Finding {
	free, total, err := x.FS.Space(x.DataDir)
	if err != nil {
		return failure(name, "", "%v", err)
	}
	return room(name, free, total, x.used(), x.NeedBytes, x.LeastBytes)
}

func room(name string, free, total, used, need, least int64) Finding {
	text := fmt.Sprintf("%s of %s are free; journals have %s and may come to %s", say.Bytes(free), say.Bytes(total), say.Bytes(used), say.Bytes(need))
	const do = "give it a larger disk, or lower journal.hard_bytes, soft_bytes, keep_bytes and spare_bytes"
	switch {
	case free+used < least:
		return failure(name, do, "%s: producers would be refused", text)
	case free+used < need:
		return warning(name, do, "%s, which is more than there is", text)
	}
	return ok(name, "%s", text)
}

// used returns how much the journals have.
func (x *examination) used() (sum int64) {
	dirs := []string{x.JournalDir}
	if names, err := x.FS.List(x.JournalDir); err == nil {
		for _, n := range names {
			dirs = append(dirs, x.JournalDir+"/"+n)
		}
	}
	for _, d := range dirs {
		names, err := x.FS.List(d)
		if err != nil {
			continue // a file
		}
		for _, n := range names {
			f, err := x.FS.Open(d+"/"+n, vfs.ReadOnly)
			if err != nil {
				continue
			}
			if size, err := f.Size(); err == nil {
				sum += size
			}
			f.Close()
		}
	}
	return sum
}

// measured is what the disk did.
type measured struct {
	syncs  times
	stream float64 // bytes in a second
}

// temporary names what the doctor writes; a file or an object that is left over after a
// crash does no harm.
func (x *examination) temporary() string { return fmt.Sprintf("varve-doctor-%016x", x.Random.Uint64()) }

// mayWrite returns how much a measurement may write. A disk that is almost full may be that of a running agent, or of etcd,
// which ends when it can't write.
func (x *examination) mayWrite() int64 {
	free, _, err := x.FS.Space(x.DataDir)
	if err != nil {
		return streamBytes
	}
	return min(streamBytes, free/freeParts/streamWrite*streamWrite)
}

// measure writes a temporary file of at most so many bytes as the journal is written.
func (x *examination) measure(ctx context.Context, most int64) (m measured, err error) {
	name := x.temporary() + ".tmp"
	path := x.DataDir + "/" + name
	mode := vfs.Create | vfs.Truncate
	if x.Direct {
		mode |= vfs.Direct
	}
	f, err := x.FS.Open(path, mode)
	if err != nil {
		return m, err
	}
	defer func() {
		err = errors.Join(err, f.Close(), vfs.RemoveSynced(x.FS, x.DataDir, name))
	}()
	buf := vfs.Aligned(streamWrite)
	_, _ = x.Random.Read(buf) // a disk may compress
	if err := m.streamTo(ctx, f, buf, most); err != nil {
		return m, err
	}
	return m, m.syncTo(ctx, f, buf[:syncBytes])
}

func (m *measured) streamTo(ctx context.Context, f vfs.File, buf []byte, most int64) error {
	began, wrote := time.Now(), int64(0)
	for wrote < most && time.Since(began) < diskPhase && ctx.Err() == nil {
		if _, err := f.WriteAt(buf, wrote); err != nil {
			return err
		}
		wrote += int64(len(buf))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	m.stream = float64(wrote) / time.Since(began).Seconds()
	return nil
}

// syncTo overwrites the file, a small write and a sync at a time: the journal's files are
// written before, too.
func (m *measured) syncTo(ctx context.Context, f vfs.File, buf []byte) error {
	began := time.Now()
	for i := range syncTimes {
		if time.Since(began) > diskPhase || ctx.Err() != nil {
			break
		}
		at := time.Now()
		if _, err := f.WriteAt(buf, int64(i*len(buf))); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		m.syncs = append(m.syncs, time.Since(at))
	}
	return nil
}

func (m *measured) synced(name string) Finding {
	p50, p99, most := m.syncs.percentile(50), m.syncs.percentile(99), m.syncs.percentile(100)
	text := fmt.Sprintf("a write of 16 KiB and its sync take %v (median), %v (99th percentile), %v (longest of %d)", short(p50), short(p99), short(most), len(m.syncs))
	const do = "each acknowledgement waits for a sync: give the journal a disk of its own, an SSD or NVMe, best with power loss protection"
	switch {
	case len(m.syncs) == 0:
		return failure(name, do, "no write was synced in time")
	case p50 > syncSlow, p99 > syncStalls:
		return warning(name, do, "%s", text)
	}
	return ok(name, "%s", text)
}

func (m *measured) streamed(name string) Finding {
	text := fmt.Sprintf("it writes %s a second", say.Bytes(int64(m.stream)))
	if m.stream < streamSlowly {
		return warning(name, "this bounds what all producers of the cluster may send for each journal that this host keeps; use a faster disk, or look who else uses it", "%s", text)
	}
	return ok(name, "%s", text)
}
