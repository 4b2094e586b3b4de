package broker

import "golang.org/x/sync/errgroup"

// severalAtOnce is how many partitions one request asks the tier or the metadata store
// about at a time.
const severalAtOnce = 16

// several does things for the partitions of one request side by side: each may read the
// bucket or write to etcd, and a request may have thousands. The zero value is ready.
type several struct {
	group   errgroup.Group
	limited bool
}

func (s *several) add(do func()) {
	if !s.limited {
		s.group.SetLimit(severalAtOnce)
		s.limited = true
	}
	s.group.Go(func() error {
		do()
		return nil
	})
}

func (s *several) wait() { _ = s.group.Wait() }
