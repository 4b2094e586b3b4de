package broker

import "golang.org/x/sync/errgroup"

// severalAtOnce is how many partitions one request asks the tier or the metadata store
// about at a time.
const severalAtOnce = 16

// several does things for the partitions of one request side by side: each may read the
// bucket or write to etcd, and a request may have thousands.
type several struct{ group errgroup.Group }

func newSeveral() *several {
	s := new(several)
	s.group.SetLimit(severalAtOnce)
	return s
}

func (s *several) add(do func()) {
	s.group.Go(func() error {
		do()
		return nil
	})
}

func (s *several) wait() { _ = s.group.Wait() }
