package admin

import "context"

type clientKey struct{}

// withClient notes the client.
func withClient(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, clientKey{}, addr)
}

// Client returns the address of the client that asked for what is done under ctx, or "".
func Client(ctx context.Context) string {
	addr, _ := ctx.Value(clientKey{}).(string)
	return addr
}
