package s3store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sweepAge is how old a file under tmp must be to count as left over by a
// process that died; another process may be writing the younger ones.
const sweepAge = 24 * time.Hour

// sweep removes what crashed writers left under tmp.
func sweep(tmp string) error {
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), "put-") && time.Since(info.ModTime()) > sweepAge {
			os.Remove(filepath.Join(tmp, e.Name()))
		}
	}
	return nil
}

// syncFolders makes a new name durable, and the names of the folders above it:
// another writer may have made them and not yet synced them. Syncing a folder
// that didn't change is cheap.
func (d *dir) syncFolders(folder string) error {
	for ; ; folder = filepath.Dir(folder) {
		// A folder that is gone was pruned after a Delete of what it held.
		if err := syncPath(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if folder == d.objects {
			return nil
		}
	}
}

// prune removes folders that a Delete left empty. It stops at the first that
// isn't, which the error shows.
func (d *dir) prune(folder string) {
	for ; folder != d.objects; folder = filepath.Dir(folder) {
		if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
