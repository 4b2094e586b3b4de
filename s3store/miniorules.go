package s3store

import (
	"context"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"
)

func (m *minioStore) versioning(ctx context.Context) (bool, error) {
	v, err := m.core.GetBucketVersioning(ctx, m.config.Bucket)
	return v.Enabled(), minioRulesError(err)
}

func (m *minioStore) locked(ctx context.Context) (bool, error) {
	on, _, _, _, err := m.core.GetObjectLockConfig(ctx, m.config.Bucket)
	return on == "Enabled", minioRulesError(err)
}

func (m *minioStore) lifecycle(ctx context.Context) (rules []rule, err error) {
	all, err := m.core.GetBucketLifecycle(ctx, m.config.Bucket)
	if err != nil {
		return nil, minioRulesError(err)
	}
	for _, r := range all.Rules {
		if r.Status == "Enabled" {
			rules = append(rules, minioRule(&r))
		}
	}
	return rules, nil
}

func minioRule(r *lifecycle.Rule) rule {
	prefix := r.Prefix + r.RuleFilter.Prefix + r.RuleFilter.And.Prefix // one of them at most is given
	return rule{
		id: r.ID, prefix: prefix, tagged: !r.RuleFilter.Tag.IsEmpty() || len(r.RuleFilter.And.Tags) > 0,
		live:       !r.Expiration.IsDaysNull() || !r.Expiration.IsDateNull() || !r.Transition.IsNull() || r.AllVersionsExpiration.Days > 0,
		noncurrent: !r.NoncurrentVersionExpiration.IsDaysNull() || r.AllVersionsExpiration.Days > 0,
	}
}

// minioRulesError takes a configuration that isn't there for no error.
func minioRulesError(err error) error {
	if err == nil {
		return nil
	}
	switch minio.ToErrorResponse(err).Code {
	case "NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration":
		return nil
	}
	return minioError(OpList, "", err)
}
