package metadata

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
)

// namedCreds checks every server for one name. gRPC alone would check the host
// of the endpoint, whatever the TLS settings are.
type namedCreds struct {
	credentials.TransportCredentials
	name string
}

// ClientHandshake implements credentials.TransportCredentials.
func (c namedCreds) ClientHandshake(ctx context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.TransportCredentials.ClientHandshake(ctx, c.name, conn)
}

// Clone implements credentials.TransportCredentials.
func (c namedCreds) Clone() credentials.TransportCredentials {
	return namedCreds{c.TransportCredentials.Clone(), c.name}
}
