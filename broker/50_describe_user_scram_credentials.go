// DescribeUserSCRAMCredentials, versions 0 to 0: 0 which mechanisms users have passwords for
// (KIP-554).

package broker

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (api *userAPIs) describeUserScramCredentials(_ context.Context, c *caller, req *kmsg.DescribeUserSCRAMCredentialsRequest) *kmsg.DescribeUserSCRAMCredentialsResponse {
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	if err := c.check(opDescribe, onCluster, theCluster); err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeOf(err).Code, said(err)
		for range req.Users { // as Kafka: without their names
			r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
			r.ErrorCode, r.ErrorMessage = resp.ErrorCode, resp.ErrorMessage
			resp.Results = append(resp.Results, r)
		}
		return resp
	}
	asked := map[string]int{}
	for _, u := range req.Users {
		asked[u.Name]++
	}
	if len(req.Users) == 0 {
		for name := range api.users.All() {
			asked[name] = 1
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		resp.Results = append(resp.Results, api.describe(name, asked[name] > 1))
	}
	return resp
}

func (api *userAPIs) describe(name string, twice bool) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
	r.User = name
	u, ok := api.users.Get(name)
	switch {
	case twice:
		r.ErrorCode = kerr.DuplicateResource.Code
		r.ErrorMessage = kmsg.StringPtr("Cannot describe SCRAM credentials for the same user twice in a single request: " + name)
	case !ok:
		r.ErrorCode = kerr.ResourceNotFound.Code
		r.ErrorMessage = kmsg.StringPtr("Attempt to describe a user credential that does not exist: " + name)
	}
	if r.ErrorCode != 0 {
		return r
	}
	for _, m := range slices.Sorted(maps.Keys(u.Scram)) {
		info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
		info.Mechanism, info.Iterations = int8(m), u.Scram[m].Iterations
		r.CredentialInfos = append(r.CredentialInfos, info)
	}
	return r
}
