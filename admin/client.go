package admin

import "context"

type clientKey struct{}

// withClient notes who asks.
func withClient(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, clientKey{}, addr)
}

// Client is the address of who asked for what is done under ctx, or "".
func Client(ctx context.Context) string {
	addr, _ := ctx.Value(clientKey{}).(string)
	return addr
}
