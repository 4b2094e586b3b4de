// Command servers makes sure that the servers which tests run are built, and
// prints a line "name path" for each. It takes minutes the first time.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"varve/internal/testserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, name := range []string{testserver.EtcdName, testserver.MinIOName} {
		path, err := testserver.Build(ctx, name, os.Stderr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(name, path)
	}
}
