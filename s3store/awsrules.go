package s3store

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

func (a *awsStore) versioning(ctx context.Context) (bool, error) {
	v, err := a.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &a.config.Bucket})
	if err != nil {
		return false, awsRulesError(err)
	}
	return v.Status == types.BucketVersioningStatusEnabled, nil
}

func (a *awsStore) locked(ctx context.Context) (bool, error) {
	v, err := a.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &a.config.Bucket})
	if err != nil {
		return false, awsRulesError(err)
	}
	c := v.ObjectLockConfiguration
	return c != nil && c.ObjectLockEnabled == types.ObjectLockEnabledEnabled, nil
}

func (a *awsStore) lifecycle(ctx context.Context) (rules []rule, err error) {
	all, err := a.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &a.config.Bucket})
	if err != nil {
		return nil, awsRulesError(err)
	}
	for i := range all.Rules {
		if all.Rules[i].Status == types.ExpirationStatusEnabled {
			rules = append(rules, awsRule(&all.Rules[i]))
		}
	}
	return rules, nil
}

func awsRule(r *types.LifecycleRule) rule {
	x := rule{id: aws.ToString(r.ID)}
	if f := r.Filter; f != nil {
		x.prefix, x.tagged = aws.ToString(f.Prefix), f.Tag != nil
		if f.And != nil {
			x.prefix, x.tagged = aws.ToString(f.And.Prefix), len(f.And.Tags) > 0
		}
	} else {
		//lint:ignore SA1019 older rules have nothing else
		x.prefix = aws.ToString(r.Prefix)
	}
	x.live = r.Expiration != nil && (r.Expiration.Days != nil || r.Expiration.Date != nil) || len(r.Transitions) > 0
	x.noncurrent = r.NoncurrentVersionExpiration != nil
	return x
}

// awsRulesError takes a configuration that isn't there for no error.
func awsRulesError(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration":
			return nil
		}
	}
	return awsError(OpList, "", err)
}
