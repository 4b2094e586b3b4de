package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// tokensOfUser returns how many delegation tokens a user has, of those that may be seen: 0 also if
// there are none at all, or who asks may not ask about them.
func tokensOfUser(ctx context.Context, adm *adminClient, name string) (n int) {
	owner := kadm.Principal{Type: "User", Name: name}
	all, err := adm.DescribeDelegationTokens(ctx, owner)
	if err != nil {
		return 0
	}
	for _, t := range all {
		if t.Owner == owner {
			n++
		}
	}
	return n
}

// printTokensOfUser says that tokens outlive a password, and how they are deleted. deleted means
// that the user is gone, too.
func printTokensOfUser(t *table, name string, n int, deleted bool) {
	if n == 0 {
		return
	}
	some := "1 delegation token, which is good until it expires"
	if n > 1 {
		some = fmt.Sprintf("%d delegation tokens, which are good until they expire", n)
	}
	t.row(fmt.Sprintf("%s still has %s; 'varve token list %s' shows what there is.", name, some, name))
	how := fmt.Sprintf("'varve token expire ID --user %s' deletes one", name)
	if deleted {
		how = fmt.Sprintf("'varve user create %s' and then %s", name, how)
	}
	t.row("To delete them: " + how + "; renewers may, too.")
}
