package agent

import (
	"context"
	"fmt"

	"varve/auth/kerberos"
	"varve/auth/sasl"
	"varve/broker"
)

// openKerberos returns what checks tickets, if a listener has them, and begins to watch the keytab.
func (p *process) openKerberos(life context.Context) (broker.KerberosCheck, error) {
	if !p.cfg.offers(sasl.GSSAPI) {
		return nil, nil
	}
	a, err := kerberos.Open(p.cfg.Security.Kerberos, kerberos.Deps{FS: p.files, Now: p.deps.Now, Random: p.random.Split(), Log: p.log.With("part", "kerberos"), Overheard: p.cfg.offersPlain(sasl.GSSAPI)})
	if err != nil {
		return nil, fmt.Errorf("security.kerberos.%w", err)
	}
	warnOfHosts(p.cfg.Listeners, a, p.log)
	p.run(func() { a.Run(life) })
	return func(token []byte) (sasl.SecurityContext, string, error) { return a.Accept(token) }, nil
}
