package broker

import (
	"container/heap"
	"container/list"
)

// strangers are the connections that are not authenticated. When one has to go it is the oldest of
// the network that has most of them, so that no network takes the room of others.
type strangers struct {
	count int
	begun uint64 // how many there have been
	by    map[string]*crowd
	most  crowds // the next one that has to make room is of the first
}

// crowd are the strangers of a network.
type crowd struct {
	network string
	queue   *list.List // of *stranger, the oldest first
	at      int        // in crowds
}

// stranger is a connection that is not authenticated.
type stranger struct {
	c      *conn
	number uint64 // a lower one is older
	crowd  *crowd
	at     *list.Element // in the crowd's queue
}

func newStrangers() *strangers { return &strangers{by: map[string]*crowd{}} }

// add takes a new connection.
func (s *strangers) add(c *conn) *stranger {
	name := network(c.caller.host)
	from := s.by[name]
	s.begun++
	x := &stranger{c: c, number: s.begun}
	if from == nil {
		from = &crowd{network: name, queue: list.New()}
		s.by[name] = from
		x.crowd, x.at = from, from.queue.PushBack(x)
		heap.Push(&s.most, from)
	} else {
		x.crowd, x.at = from, from.queue.PushBack(x)
		heap.Fix(&s.most, from.at)
	}
	s.count++
	return x
}

// remove takes a connection out.
func (s *strangers) remove(x *stranger) {
	from := x.crowd
	from.queue.Remove(x.at)
	if from.queue.Len() == 0 {
		heap.Remove(&s.most, from.at)
		delete(s.by, from.network)
	} else {
		heap.Fix(&s.most, from.at)
	}
	s.count--
}

// next returns the connection that has to make room, or nil.
func (s *strangers) next() *stranger {
	if len(s.most) == 0 {
		return nil
	}
	return s.most[0].oldest()
}

func (c *crowd) oldest() *stranger { return c.queue.Front().Value.(*stranger) }

// crowds is a heap: the largest one first, of equal ones that with the oldest connection.
type crowds []*crowd

func (c crowds) Len() int { return len(c) }

func (c crowds) Less(i, j int) bool {
	if a, b := c[i].queue.Len(), c[j].queue.Len(); a != b {
		return a > b
	}
	return c[i].oldest().number < c[j].oldest().number
}

func (c crowds) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].at, c[j].at = i, j
}

// Push is of heap.Interface.
func (c *crowds) Push(x any) {
	x.(*crowd).at = len(*c)
	*c = append(*c, x.(*crowd))
}

// Pop is of heap.Interface.
func (c *crowds) Pop() any {
	last := len(*c) - 1
	x := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	return x
}
