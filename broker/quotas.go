package broker

import (
	"log/slog"

	"varve/auth/quota"
	"varve/cluster"
)

// quotaAPIs serves the requests about quotas.
type quotaAPIs struct {
	view   *cluster.View
	editor *cluster.Editor
	audit  *slog.Logger
}

// quotaName returns the name of a part of an entity as it is kept: addresses have one form.
func quotaName(of quota.Type, name string) string {
	if of != quota.IP {
		return name
	}
	if a, ok := quota.Address(name); ok {
		return a
	}
	return name
}
