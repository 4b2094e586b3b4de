package schema

import (
	"encoding/binary"
	"net"
	"strconv"

	"varve/internal/id"
	"varve/internal/wire"
)

// Endpoint is one advertised listener of an agent.
type Endpoint struct {
	Listener string // the listener's name
	Host     string
	Port     int32
}

// Agent is a live agent.
type Agent struct {
	Incarnation id.Incarnation
	Store       id.Store
	Rack        string // "" is none
	Version     string
	HTTP        string // host:port of its admin API, or a URL with TLS
	Endpoints   []Endpoint
	Peer        string // host:port at which other agents reach it; "" is none
	Leaving     bool   // it was told to stop: nothing is given to it any more
}

// Host is where the agent is reached: by other agents, or else by clients.
func (a *Agent) Host() string {
	if a.Peer != "" || len(a.Endpoints) == 0 {
		return a.Peer
	}
	return net.JoinHostPort(a.Endpoints[0].Host, strconv.Itoa(int(a.Endpoints[0].Port)))
}

// Encode writes the value.
func (a Agent) Encode() []byte {
	b := binary.AppendUvarint([]byte{2}, uint64(a.Incarnation))
	b = append(b, a.Store[:]...)
	b = wire.AppendString(b, a.Rack)
	b = wire.AppendString(b, a.Version)
	b = wire.AppendString(b, a.HTTP)
	b = binary.AppendUvarint(b, uint64(len(a.Endpoints)))
	for _, e := range a.Endpoints {
		b = wire.AppendString(b, e.Listener)
		b = wire.AppendString(b, e.Host)
		b = binary.AppendVarint(b, int64(e.Port))
	}
	b = wire.AppendString(b, a.Peer)
	return wire.AppendBool(b, a.Leaving)
}

// DecodeAgent reads what Encode writes. Version 1 had neither Peer nor Leaving.
func DecodeAgent(b []byte) (a Agent, err error) {
	err = decode("agent", 2, b, func(r *wire.Reader) {
		a.Incarnation = id.Incarnation(r.Uvarint())
		copy(a.Store[:], r.Fixed(16))
		a.Rack, a.Version, a.HTTP = r.String(), r.String(), r.String()
		for n := r.Count(3); n > 0; n-- {
			a.Endpoints = append(a.Endpoints, Endpoint{r.String(), r.String(), int32(r.Varint())})
		}
		if b[0] >= 2 {
			a.Peer, a.Leaving = r.String(), r.Bool()
		}
	})
	return a, err
}
