package doctor

import (
	"context"
	"net"
	"strings"
	"time"

	"varve/internal/tlsfile"
)

// addresses judges whether what others are told can be found.
func addresses(ctx context.Context, x *examination) (found []Finding) {
	const name = "addresses"
	for _, a := range x.Addresses {
		host, _, err := net.SplitHostPort(a.Addr)
		if err != nil || host == "" {
			continue // the settings' own check tells
		}
		if ip := net.ParseIP(host); ip != nil {
			found = append(found, numeric(name, a, ip))
			continue
		}
		at, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			found = append(found, failure(name, "add the name to DNS, or advertise another one: others can't find it either", "%s: %s is not found: %v", a.Name, host, err))
			continue
		}
		found = append(found, ok(name, "%s: %s is %s", a.Name, host, strings.Join(at, ", ")))
	}
	return found
}

// numeric judges an address in numbers.
func numeric(name string, a Address, ip net.IP) Finding {
	if ip.IsLoopback() {
		return warning(name, "advertise an address that other hosts reach, unless all is on this one", "%s: %s is this host's own", a.Name, a.Addr)
	}
	return ok(name, "%s: %s", a.Name, a.Addr)
}

// expiresSoon is from when on the agent warns of a certificate, too.
const expiresSoon = 30 * 24 * time.Hour

// certificates judges those that the agent shows.
func certificates(_ context.Context, x *examination) []Finding {
	const name = "certificates"
	found := []Finding{}
	for _, c := range x.Certificates {
		s, err := tlsfile.OpenServer(x.FS, c.Files)
		if err != nil {
			found = append(found, failure(name, "give it a certificate and key that fit, in files that the agent may read and others can't", "%s: %v", c.Name, err))
			continue
		}
		found = append(found, certificate(name, c, s.Misfit(c.Host), s.Expires().Sub(x.Now())))
	}
	if len(found) == 0 {
		found = append(found, ok(name, "the settings name none"))
	}
	return found
}

func certificate(name string, c Certificate, misfit string, left time.Duration) Finding {
	const renew = "replace the files; the agent reads them again by itself"
	days := int(left / (24 * time.Hour))
	switch {
	case left <= 0:
		return failure(name, renew, "%s: %s has expired", c.Name, c.Files.Cert)
	case misfit != "":
		return failure(name, "make one for the host that is advertised", "%s: others will refuse %s: %s", c.Name, c.Files.Cert, misfit)
	case left < expiresSoon:
		return warning(name, renew, "%s: %s expires in %d days", c.Name, c.Files.Cert, days)
	}
	return ok(name, "%s: %s is good for %d days", c.Name, c.Files.Cert, days)
}
