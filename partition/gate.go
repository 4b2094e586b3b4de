package partition

// gate holds appends back while a partition changes its owner.
type gate struct {
	paused chan struct{} // not nil: appends wait until it is closed
	quiet  chan struct{} // not nil: to be closed when all is committed
}

func (g *gate) pause() {
	if g.paused == nil {
		g.paused = make(chan struct{})
	}
}

func (g *gate) resume() {
	if g.paused != nil {
		close(g.paused)
		g.paused = nil
	}
}

// awaitQuiet returns a channel that is closed by the next settle that finds all quiet.
func (g *gate) awaitQuiet() <-chan struct{} {
	if g.quiet == nil {
		g.quiet = make(chan struct{})
	}
	return g.quiet
}

// settle wakes those that wait for quiet, if nothing is on its way.
func (g *gate) settle(quiet bool) {
	if g.quiet != nil && quiet {
		close(g.quiet)
		g.quiet = nil
	}
}
