package cluster

import "varve/metadata/schema"

// Users are the users that a view shows.
type Users struct{ view *View }

// NewUsers returns those of a view.
func NewUsers(v *View) *Users { return &Users{v} }

// Get returns a user. It must not be changed.
func (us *Users) Get(name string) (schema.User, bool) {
	us.view.mu.RLock()
	defer us.view.mu.RUnlock()
	u, ok := us.view.mu.users.rows[name]
	return u, ok
}

// All returns all users by name. They must not be changed.
func (us *Users) All() map[string]schema.User {
	us.view.mu.RLock()
	defer us.view.mu.RUnlock()
	return us.view.mu.users.copied()
}
