package cluster

import (
	"varve/internal/chance"
	"varve/metadata"
)

// Editor changes topics, settings, users, ACLs, quotas, moves and members by guarded transactions. A
// change returns when the view shows it.
type Editor struct {
	view   *View
	store  metadata.Store
	random *chance.Source
}

// NewEditor makes an editor of what view shows. random makes the ids of topics; nil is the
// system's.
func NewEditor(view *View, store metadata.Store, random *chance.Source) *Editor {
	return &Editor{view, store, random}
}
