package admin

import "context"

type (
	clientKey    struct{}
	principalKey struct{}
)

// withPrincipal notes who the client is.
func withPrincipal(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, principalKey{}, who)
}

// principal returns who asked for what is done under ctx, "" if it isn't known.
func principal(ctx context.Context) string {
	who, _ := ctx.Value(principalKey{}).(string)
	return who
}

// withClient notes the client.
func withClient(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, clientKey{}, addr)
}

// Client returns the client that asked for what is done under ctx: its address, after its
// principal if that is known; or "".
func Client(ctx context.Context) string {
	addr, _ := ctx.Value(clientKey{}).(string)
	if who := principal(ctx); who != "" {
		return who + " " + addr
	}
	return addr
}
