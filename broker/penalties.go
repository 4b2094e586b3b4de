package broker

import (
	"net/netip"
	"sync"
	"time"
)

// How long the answer to a failed authentication is delayed: Kafka's
// connection.failed.authentication.delay.ms at first, twice as long at each further one from the
// same address, up to a bound. An address that doesn't fail for a while begins anew.
const (
	firstPenalty  = 100 * time.Millisecond
	mostPenalty   = 3 * time.Second
	forgivenAfter = time.Minute
)

// penalized bounds the addresses that are remembered.
const penalized = 4096

// penalties counts failed authentications by address.
type penalties struct {
	mu sync.Mutex
	by map[string]penalty
}

type penalty struct {
	delay time.Duration // of the last answer
	at    time.Time
}

// next returns by how long the answer to a failure from an address is delayed.
func (p *penalties) next(host string, now time.Time) time.Duration {
	key := network(host)
	p.mu.Lock()
	defer p.mu.Unlock()
	delay := firstPenalty
	if was, ok := p.by[key]; ok && now.Sub(was.at) < forgivenAfter {
		delay = min(2*was.delay, mostPenalty)
	} else if !ok && len(p.by) >= penalized {
		p.forget(now)
	}
	if p.by == nil {
		p.by = map[string]penalty{}
	}
	p.by[key] = penalty{delay, now}
	return delay
}

// forget makes room for one more address.
func (p *penalties) forget(now time.Time) {
	var oldest string
	for key, was := range p.by {
		if now.Sub(was.at) >= forgivenAfter {
			delete(p.by, key)
		} else if oldest == "" || was.at.Before(p.by[oldest].at) {
			oldest = key
		}
	}
	if len(p.by) >= penalized {
		delete(p.by, oldest)
	}
}

// network returns what counts as one address: of IPv6 the network of a host, which has more
// addresses than could be remembered.
func network(host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil || !a.Is6() || a.Is4In6() {
		return host
	}
	net, err := a.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return net.String()
}
