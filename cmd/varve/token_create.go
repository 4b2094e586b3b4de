package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func tokenCreateCommand() *cobra.Command {
	var owner, hmacFile string
	var replace bool
	var renewers []string
	var life time.Duration
	var req kadm.CreateDelegationToken
	c := asking[*tokenRow]{
		check: func([]string) (err error) {
			if req.Renewers, err = principals(renewers); err != nil {
				return err
			}
			if owner != "" {
				named, err := principals([]string{owner})
				if err != nil {
					return err
				}
				req.Owner = &named[0]
			}
			if life < 0 {
				return usagef("--max-lifetime is %v: must be 0 or more", life)
			}
			if req.MaxLifetime = life; life == 0 {
				req.MaxLifetime = -time.Millisecond
			}
			if hmacFile == "" {
				return nil
			}
			return writable(hmacFile, replace)
		},
		ask: func(ctx context.Context, adm *adminClient, _ []string) (*tokenRow, error) {
			made, err := adm.CreateDelegationToken(ctx, req)
			if err != nil {
				return nil, sayToken("create a delegation token", err)
			}
			r := rowOfToken(made, true)
			if hmacFile == "" {
				return &r, nil
			}
			if err := replaceFile(hmacFile, []byte(r.HMAC+"\n")); err != nil {
				return &r, fmt.Errorf("--hmac-file: %w", err) // it is shown instead
			}
			r.HMAC = ""
			return &r, nil
		},
		show: func(t *table, r *tokenRow) {
			file := hmacFile
			if r.HMAC != "" {
				file = ""
			}
			printToken(t, r, file)
		},
	}.command(&cobra.Command{
		Use:     "create",
		Aliases: []string{"new"},
		Short:   "Create a delegation token",
		Long: `Create a delegation token (KIP-48): a client that has its id and its HMAC logs in with SCRAM as the
token's owner, until the token expires. Who has the HMAC is the owner: give it to nobody else.
Tokens can't be created by connections that logged in by one.`,
		Example: "  varve token create\n  varve token create --renewer scheduler --max-lifetime 72h --hmac-file job.hmac\n  varve token create --owner alice   # needs CREATE_TOKENS on the user",
		Args:    cobra.NoArgs,
	})
	f := c.Flags()
	f.StringVar(&owner, "owner", "", "principal whose token it is (default: the one who asks)")
	f.StringArrayVar(&renewers, "renewer", nil, "principal that may renew the token and have it expire, as its owner may; may be given several times")
	f.DurationVar(&life, "max-lifetime", 0, "how long the token can be used at most; 0: as long as the agents allow (security.delegation_tokens.max_lifetime)")
	f.StringVar(&hmacFile, "hmac-file", "", "file to write the HMAC to, instead of showing it; only you can read it")
	f.BoolVar(&replace, "replace", false, "replace the file of --hmac-file, if it exists")
	return c
}

// writable fails if the file of --hmac-file can't be written, or is there and isn't to be replaced:
// before there is a token whose HMAC nobody keeps.
func writable(file string, replace bool) error {
	switch at, err := os.Lstat(file); {
	case err == nil && at.IsDir():
		return usagef("--hmac-file: %s is a directory", file)
	case err == nil && !replace:
		return usagef("--hmac-file: %s exists; --replace replaces it", file)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--hmac-file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".varve-*") // as replaceFile does
	if err != nil {
		return fmt.Errorf("--hmac-file: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
