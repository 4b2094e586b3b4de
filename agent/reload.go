package agent

// Reload takes over what of new settings can change in a running agent: the certificates
// between agents, read anew, for connections that are made from now on. On an error
// those from before stay.
func (a *Agent) Reload(cfg Config) error {
	select {
	case <-a.started:
	default:
		return nil // a start reads them
	}
	if a.doors.tls == nil || !cfg.Peer.TLS.On() {
		return nil
	}
	fresh, err := cfg.Peer.TLS.Load(a.deps.FS)
	if err != nil {
		return err
	}
	a.doors.tls.Take(fresh)
	return nil
}
