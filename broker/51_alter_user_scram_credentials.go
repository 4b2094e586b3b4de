// AlterUserSCRAMCredentials, versions 0 to 0: 0 sets and removes users' passwords (KIP-554).

package broker

import (
	"cmp"
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/auth/sasl"
	"varve/cluster"
	"varve/metadata/schema"
)

// alteration is what is to be done with a user. As by Kafka, a request may change a user once.
type alteration struct {
	user   string
	change cluster.ScramChange
	err    error
}

func (api *userAPIs) alterUserScramCredentials(ctx context.Context, c *caller, req *kmsg.AlterUserSCRAMCredentialsRequest) *kmsg.AlterUserSCRAMCredentialsResponse {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	var order []*alteration
	by := map[string]*alteration{}
	denied := c.check(opAlter, onCluster, theCluster)
	add := func(user string, change cluster.ScramChange, err error) {
		if a := by[user]; a != nil {
			a.err = cmp.Or(denied, refuse(kerr.DuplicateResource, "A user credential cannot be altered twice in the same request"))
			return
		}
		by[user] = &alteration{user, change, cmp.Or(denied, err)}
		order = append(order, by[user])
	}
	for _, d := range req.Deletions {
		add(d.Name, cluster.ScramChange{Mechanism: schema.ScramMechanism(d.Mechanism)}, checkUser(d.Name, d.Mechanism))
	}
	for i := range req.Upsertions {
		u := &req.Upsertions[i]
		change, err := upsertion(u)
		add(u.Name, change, err)
	}
	all := newSeveral()
	for _, a := range order {
		all.add(func() { api.alter(ctx, c, a) })
	}
	all.wait()
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	for _, a := range order {
		r := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		r.User = a.user
		if a.err != nil {
			r.ErrorCode, r.ErrorMessage = codeOf(a.err).Code, said(a.err)
		}
		resp.Results = append(resp.Results, r)
	}
	return resp
}

// alter changes a user.
func (api *userAPIs) alter(ctx context.Context, c *caller, a *alteration) {
	if a.err != nil {
		return
	}
	err := api.editor.AlterUser(ctx, a.user, a.change)
	if errors.Is(err, cluster.ErrNoCredential) {
		err = refuse(kerr.ResourceNotFound, "Attempt to delete a user credential that does not exist")
	}
	if a.err = err; err != nil {
		return
	}
	what := "credential set"
	if a.change.Credential == nil {
		what = "credential removed"
	}
	api.audit.Info(what, "user", short(a.user), "mechanism", nameOf(a.change.Mechanism), c.attr())
}

// maxUserName bounds a user's name, maxSalt a salt; Kafka bounds neither.
const (
	maxUserName = 1024
	maxSalt     = 256
)

func checkUser(name string, mechanism int8) error {
	switch {
	case name == "":
		return refuse(kerr.UnacceptableCredential, "Username must not be empty")
	case len(name) > maxUserName:
		return refuse(kerr.UnacceptableCredential, "Username must not be longer than %d bytes", maxUserName)
	case nameOf(schema.ScramMechanism(mechanism)) == "":
		return refuse(kerr.UnsupportedSaslMechanism, "Unknown SCRAM mechanism")
	}
	return nil
}

// upsertion returns the credential that a request brings: it holds the password hashed.
func upsertion(u *kmsg.AlterUserSCRAMCredentialsRequestUpsertion) (change cluster.ScramChange, err error) {
	if err := checkUser(u.Name, u.Mechanism); err != nil {
		return change, err
	}
	change.Mechanism = schema.ScramMechanism(u.Mechanism)
	switch {
	case u.Iterations < sasl.MinIterations:
		return change, refuse(kerr.UnacceptableCredential, "Too few iterations")
	case u.Iterations > sasl.MaxIterations:
		return change, refuse(kerr.UnacceptableCredential, "Too many iterations")
	case len(u.Salt) == 0 || len(u.Salt) > maxSalt:
		return change, refuse(kerr.UnacceptableCredential, "A salt must have 1 to %d bytes", maxSalt)
	}
	made, err := sasl.FromSalted(nameOf(change.Mechanism), u.Salt, u.SaltedPassword, int(u.Iterations))
	if err != nil || len(u.SaltedPassword) != len(made.StoredKey) {
		return change, refuse(kerr.UnacceptableCredential, "The salted password is not one of %s", nameOf(change.Mechanism))
	}
	change.Credential = &schema.ScramCredential{Iterations: u.Iterations, Salt: made.Salt, StoredKey: made.StoredKey, ServerKey: made.ServerKey}
	return change, nil
}
