package doctor

import (
	"context"

	"varve/internal/say"
)

const (
	leastFiles  = 256  // an agent with less doesn't come up
	fairlyFiles = 4096 // with less, the agent warns
)

// files judges how many files may be open.
func files(_ context.Context, x *examination) []Finding {
	const name = "files"
	limit, known := openLimit()
	if !known {
		return []Finding{ok(name, "this system doesn't tell how many files may be open")}
	}
	return []Finding{openFiles(name, limit, x.Files)}
}

func openFiles(name string, limit uint64, want int) Finding {
	const do = "raise the limit with LimitNOFILE= in systemd's unit, or 'ulimit -n'; this is the limit of this shell, a service has its own"
	switch {
	case limit < leastFiles:
		return failure(name, do, "a process may open %d files, an agent needs at least %d", limit, leastFiles)
	case limit < max(fairlyFiles, uint64(want)):
		return warning(name, do, "a process may open %d files; kafka.max_connections and the journals may want %d", limit, max(fairlyFiles, want))
	}
	return ok(name, "a process may open %d files", limit)
}

// memory judges what the agent may take of what the host and its cgroup have.
func memory(_ context.Context, x *examination) []Finding {
	const name = "memory"
	size := x.Host.Size()
	if size == 0 {
		return []Finding{ok(name, "this system doesn't tell how much memory it has; the agent may take %s", say.Bytes(x.Memory))}
	}
	const do = "set memory lower, or give the host or the cgroup (MemoryMax=, a container's limit) more"
	found := []Finding{}
	switch {
	case x.Memory > size:
		found = append(found, failure(name, do, "the agent may take %s, and there are %s", say.Bytes(x.Memory), say.Bytes(size)))
	case x.Memory > size/10*9:
		found = append(found, warning(name, do, "the agent may take %s of %s, which leaves little for the kernel", say.Bytes(x.Memory), say.Bytes(size)))
	default:
		found = append(found, ok(name, "the agent may take %s of %s", say.Bytes(x.Memory), say.Bytes(size)))
	}
	if x.Host.Limit > 0 && x.Host.Used > x.Host.Limit/10*9 {
		found = append(found, warning(name, do, "the cgroup uses %s of %s", say.Bytes(x.Host.Used), say.Bytes(x.Host.Limit)))
	}
	return found
}
