package broker

import (
	"context"
	"log/slog"
)

// asker is the client whose request is carried out.
type asker struct{ addr, id string }

type askerKey struct{}

func withAsker(ctx context.Context, c *conn) context.Context {
	if c == nil || c.nc == nil {
		return ctx
	}
	return context.WithValue(ctx, askerKey{}, asker{c.nc.RemoteAddr().String(), c.clientID})
}

// askedBy is a log line's attribute: who asked for what is done under ctx.
func askedBy(ctx context.Context) slog.Attr {
	a, _ := ctx.Value(askerKey{}).(asker)
	return slog.Group("client", slog.String("addr", a.addr), slog.String("id", a.id))
}
