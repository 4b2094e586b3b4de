package testserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
)

// Ports are taken from below the range that the system hands to outgoing
// connections, so that a stopped server finds its ports free when it starts
// again.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// port is a loopback port that no other process using this package has.
type port struct {
	number  int
	release func()
}

func (p port) addr() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }

// reservePorts picks n free ports and keeps them reserved until released.
func reservePorts(n int) ([]port, error) {
	dir := filepath.Join(os.TempDir(), "varve-test-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	var ports []port
	for try := 0; try < 1000 && len(ports) < n; try++ {
		number := lowestPort + rand.IntN(highestPort-lowestPort)
		unlock, err := tryLock(filepath.Join(dir, fmt.Sprint(number)))
		if err != nil {
			continue
		}
		if !isFree(number) {
			unlock()
			continue
		}
		ports = append(ports, port{number, unlock})
	}
	if len(ports) < n {
		releasePorts(ports)
		return nil, fmt.Errorf("found no %d free loopback ports between %d and %d", n, lowestPort, highestPort)
	}
	return ports, nil
}

func releasePorts(ports []port) {
	for _, p := range ports {
		p.release()
	}
}

func isFree(number int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", number))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}
