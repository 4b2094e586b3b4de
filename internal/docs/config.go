package docs

import (
	"strings"

	"varve/internal/settings"
)

const configIntro = `# Settings

An agent (` + "`varve agent`" + `, and ` + "`varve dev`" + ` with defaults of its own) takes its settings from four places; each
overrides the one before:

1. the defaults below;
2. a YAML file, named by ` + "`--config`" + ` or ` + "`VARVE_CONFIG`" + `;
3. environment variables: ` + "`VARVE_`" + ` and the setting's path in capitals, with underscores for
   dots (` + "`kafka.max_connections`" + ` is ` + "`VARVE_KAFKA_MAX_CONNECTIONS`" + `);
4. command-line flags: the path with dashes (` + "`--kafka-max-connections`" + `).

In the file, a path's parts are nested keys, or one key with dots (` + "`etcd.prefix: /varve/a/`" + `):

` + "```yaml" + `
broker_id: 1
data_dir: /var/lib/varve
listeners:
  - {name: PLAINTEXT, bind: ":9092", advertised: "broker-1.example:9092"}
etcd:
  endpoints: ["http://etcd-1:2379", "http://etcd-2:2379"]
store:
  driver: minio
  endpoint: https://minio.example:9000
  bucket: varve
` + "```" + `

Lists are written in YAML's flow form in variables and flags: ` + "`--etcd-endpoints '[http://a:2379, http://b:2379]'`" + `;
lists of texts also without the brackets.
Durations are like ` + "`250ms`" + `, ` + "`30s`" + ` or ` + "`1h30m`" + `; sizes are bytes, or have a unit: ` + "`64MiB`" + ` is 67108864, ` + "`100GB`" + `
100000000000. A secret can be in a file, named by the setting with ` + "`_file`" + ` after it. Keys, variables and flags that
name no setting, and values that don't fit, are refused, all at once, with the name, the value and what is allowed;
variables that Kubernetes sets for a service called varve are ignored. ` + "`varve config`" + ` takes the same file, variables
and flags and prints, as such a file, what an agent would use, secrets hidden.

SIGHUP makes an agent read its settings again: ` + "`log.level`" + ` changes at once, for all others the log says that they need
a restart. Files of certificates, keys and credentials are read again without a signal
([security.md](security.md#credentials-for-the-bucket-and-for-etcd)). SIGUSR1 switches debug logging on, and off again.

`

const listenersIntro = `
## A listener

Each of ` + "`listeners`" + ` has these keys. [security.md](security.md) says how they go together.

`

// Config is the page of an agent's settings and of a listener's, given by pointer.
func Config(config, listener any) string {
	var b strings.Builder
	b.WriteString(notice + configIntro)
	row(&b, "setting", "type", "default", "what it is")
	b.WriteString("|---|---|---|---|\n")
	for _, s := range settings.Of(config) {
		row(&b, code(s.Path), s.Type, code(s.String()), cell(s.Doc))
	}
	b.WriteString(listenersIntro)
	row(&b, "key", "type", "what it is")
	b.WriteString("|---|---|---|\n")
	for _, s := range settings.Of(listener) {
		row(&b, code(s.Path), s.Type, cell(s.Doc))
	}
	return b.String()
}
