package main

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"varve/agent"
)

// tellEvery is how often systemd is told what a start waits for.
const tellEvery = time.Second

// tellSystemd tells systemd when the agent serves, what it waits for until then, and that it stops. Without
// systemd, or in a unit of another type than notify, it does nothing (sd_notify(3)).
func tellSystemd(ctx context.Context, a *agent.Agent) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	started := a.Started()
	for {
		select {
		case <-started:
			notifySystemd(daemon.SdNotifyReady + "\nSTATUS=serving")
			started = nil
			tick.Stop()
		case <-tick.C:
			if why := a.NotReady(); len(why) > 0 {
				notifySystemd("STATUS=" + why[0])
			}
		case <-ctx.Done():
			notifySystemd(daemon.SdNotifyStopping + "\nSTATUS=stopping")
			return
		}
	}
}

// notifySystemd sends a message. That it isn't taken changes nothing here.
func notifySystemd(state string) { _, _ = daemon.SdNotify(false, state) }
