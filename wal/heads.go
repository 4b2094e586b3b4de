package wal

import "varve/internal/vfs"

// InspectHeads tells what Inspect tells of the journals and their files, but reads no entries:
// only the header of each file. It is quick, however large the journals are.
func InspectHeads(fsys vfs.FS, dir string, in Inspector) error {
	return inspect(fsys, dir, in, false)
}
