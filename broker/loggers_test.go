package broker

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLoggers: the log's level is Kafka's root logger of this broker, which can be set with the
// right to alter the cluster's settings, and Kafka's errors are answered to all else.
func TestLoggers(t *testing.T) {
	withSecured(t, func(s *secured) {
		alter := func(principal, broker, logger string, op kmsg.IncrementalAlterConfigOp, level string, validateOnly bool) (*kerr.Error, string) {
			r := kmsg.NewPtrIncrementalAlterConfigsRequest()
			r.ValidateOnly = validateOnly
			r.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: broker,
				Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: logger, Op: op, Value: &level}}}}
			got := s.connect(principal).ask(1, r).(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
			said := ""
			if got.ErrorMessage != nil {
				said = *got.ErrorMessage
			}
			return kerr.TypedErrorForCode(got.ErrorCode), said
		}
		const set, del, add = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete, kmsg.IncrementalAlterConfigOpAppend
		for _, c := range []struct {
			principal, broker, logger string
			op                        kmsg.IncrementalAlterConfigOp
			level                     string
			validateOnly              bool
			err                       *kerr.Error
			says                      string
			after                     slog.Level
		}{
			{"User:admin", "1", "root", set, "DEBUG", true, nil, "", slog.LevelInfo},
			{"User:admin", "1", "root", set, "DEBUG", false, nil, "", slog.LevelDebug},
			{"User:nobody", "1", "root", set, "ERROR", false, kerr.ClusterAuthorizationFailed, "", slog.LevelDebug},
			{"User:admin", "1", "root", set, "LOUD", false, kerr.InvalidConfig, "Cannot set the log level of root to LOUD as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN", slog.LevelDebug},
			{"User:admin", "1", "kafka.server", set, "INFO", false, kerr.InvalidConfig, "Logger kafka.server does not exist!", slog.LevelDebug},
			{"User:admin", "1", "root", del, "", false, kerr.InvalidRequest, "Removing the log level of the root logger is not allowed", slog.LevelDebug},
			{"User:admin", "1", "root", add, "INFO", false, kerr.InvalidRequest, "operation is not allowed for the BROKER_LOGGER resource", slog.LevelDebug},
			{"User:admin", "2", "root", set, "INFO", false, kerr.InvalidRequest, "Unexpected broker id, expected 1 but received 2", slog.LevelDebug},
			{"User:admin", "", "root", set, "INFO", false, kerr.InvalidRequest, "Broker id must not be empty", slog.LevelDebug},
			{"User:admin", "1", "root", set, "FATAL", false, nil, "", slog.LevelError},
			{"User:admin", "1", "root", set, "WARN", false, nil, "", slog.LevelWarn},
		} {
			if err, said := alter(c.principal, c.broker, c.logger, c.op, c.level, c.validateOnly); err != c.err || !strings.Contains(said, c.says) || s.level.Level() != c.after {
				t.Errorf("%+v: %v %q, level %v", c, err, said, s.level.Level())
			}
		}
		r := kmsg.NewPtrDescribeConfigsRequest()
		r.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "1"}, {ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "2"}}
		got := s.connect("User:admin").ask(4, r).(*kmsg.DescribeConfigsResponse).Resources
		if c := got[0].Configs; len(c) != 1 || c[0].Name != "root" || *c[0].Value != "WARN" || c[0].Source != kmsg.ConfigSourceDynamicBrokerLoggerConfig || c[0].ReadOnly {
			t.Errorf("described: %+v", c)
		}
		if kerr.TypedErrorForCode(got[1].ErrorCode) != kerr.InvalidRequest {
			t.Errorf("of another broker: %+v", got[1])
		}
		if said := strings.Join(s.audit.taken(), ""); strings.Count(said, "log level changed") != 3 {
			t.Errorf("audited: %s", said)
		}
	})
}
