package broker

import (
	"log/slog"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"varve/cluster"
)

// rootLogger is Kafka's name for the logger of everything. It is the only one: Varve's log has
// one level.
const rootLogger = "root"

// loggerLevels are Kafka's names of levels. Ours are fewer.
var loggerLevels = map[string]slog.Level{
	"TRACE": slog.LevelDebug, "DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARN": slog.LevelWarn, "ERROR": slog.LevelError, "FATAL": slog.LevelError,
}

const levelsOfLoggers = "DEBUG, ERROR, FATAL, INFO, TRACE, WARN"

// checkLoggerOf refuses loggers of another broker.
func (api *configAPIs) checkLoggerOf(broker string) error {
	if broker == "" {
		return refuse(kerr.InvalidRequest, "Broker id must not be empty")
	}
	n, err := strconv.Atoi(broker)
	if err != nil {
		return refuse(kerr.InvalidRequest, "Broker id must be an integer, but it is: %s", broker)
	}
	if n != int(api.self) {
		return refuse(kerr.InvalidRequest, "Unexpected broker id, expected %v but received %s", api.self, broker)
	}
	return nil
}

// loggers lists the log's level as the setting of a logger.
func (api *configAPIs) loggers() []setting {
	if api.level == nil {
		return nil
	}
	return []setting{{def: &cluster.Definition{Name: rootLogger, Type: cluster.TypeString, Doc: "The level of the agent's log."}, value: api.level.Level().String(), from: "logger"}}
}

// alterLoggers changes the log's level until the agent's next start, or only checks the change.
func (api *configAPIs) alterLoggers(c *caller, r *kmsg.IncrementalAlterConfigsRequestResource, validateOnly bool) error {
	if err := mayConfigure(c, opAlterConfigs, r.ResourceType, r.ResourceName); err != nil {
		return err
	}
	if err := api.checkLoggerOf(r.ResourceName); err != nil {
		return err
	}
	var to slog.Level
	for i, one := range r.Configs {
		if i > 0 {
			return refuse(kerr.InvalidRequest, "Due to multiple occurrences of the config key %s", one.Name)
		}
		level, err := api.loggerLevel(&one)
		if err != nil {
			return err
		}
		to = level
	}
	if len(r.Configs) == 0 || validateOnly {
		return nil
	}
	was := api.level.Level()
	api.level.Set(min(was, to, slog.LevelInfo)) // the line must be logged, whichever the levels are
	api.audit.Info("log level changed", "before", was, "level", to, c.attr())
	api.level.Set(to)
	return nil
}

// loggerLevel returns the level that a change asks for.
func (api *configAPIs) loggerLevel(c *kmsg.IncrementalAlterConfigsRequestResourceConfig) (slog.Level, error) {
	if c.Name != rootLogger || api.level == nil {
		return 0, refuse(kerr.InvalidConfig, "Logger %s does not exist!", c.Name)
	}
	switch c.Op {
	case kmsg.IncrementalAlterConfigOpSet:
	case kmsg.IncrementalAlterConfigOpDelete:
		return 0, refuse(kerr.InvalidRequest, "Removing the log level of the %s logger is not allowed", rootLogger)
	default:
		return 0, refuse(kerr.InvalidRequest, "%v operation is not allowed for the BROKER_LOGGER resource", c.Op)
	}
	if c.Value == nil {
		return 0, refuse(kerr.InvalidRequest, "Null value not supported for %s", c.Name)
	}
	level, ok := loggerLevels[*c.Value]
	if !ok {
		return 0, refuse(kerr.InvalidConfig, "Cannot set the log level of %s to %s as it is not a supported log level. Valid log levels are %s", c.Name, *c.Value, levelsOfLoggers)
	}
	return level, nil
}
