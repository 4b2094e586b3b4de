package docs

import (
	"cmp"
	"fmt"
	"strings"
)

// Page is one page of the admin API.
type Page struct {
	Method, Path, Doc, Example string
}

// HTTP is the page of the admin API.
func HTTP(pages []Page) string {
	var b strings.Builder
	b.WriteString(notice)
	b.WriteString(`# HTTP

What an agent answers at its address for HTTP (the setting ` + "`http`, `127.0.0.1:9644`" + ` unless told otherwise).

With ` + "`http_tls`" + ` it speaks TLS. With ` + "`http_auth: basic`" + `, which is the default where ` + "`security.authorizer` is `acl`" + `, it wants a user and a password (HTTP Basic): the
same users as Kafka's. If ` + "`security.oauth`" + ` is set, a token (` + "`Authorization: Bearer`" + `) will do, too. With ACLs they need DESCRIBE on the cluster to read, and ALTER for what a POST or a PUT changes and for profiles; without ACLs every user
may do everything. ` + "`/livez`, `/healthz` and `/readyz`" + ` are open to everybody. 401: no user, the wrong password, or a token that isn't good; 403: the user isn't allowed this.
With ` + "`http_auth: none`" + ` whoever reaches the address may do all of this: bind it to one that only operators and Prometheus reach.

So that no web page can ask in the name of who looks at it, everything but ` + "`/livez`, `/healthz`, `/readyz` and `/metrics`" + ` is refused (403) with a foreign
` + "`Origin`, or a `Host`" + ` that is neither an address, localhost, one of the agent's own names (its host's, those of its listeners, its peer address and
` + "`http`) nor listed in `http_hosts`" + `. A POST or a PUT needs the header ` + "`Content-Type: application/json`" + ` (415 without); it has no body. Each is logged: who, what, and how it ended.

Answers are JSON; errors are a line of text: 400 (the request makes no sense), 404 and 409 (not as things are), 503 (etcd is away, the agent is starting, or, with ` + "`Retry-After`" + `, too many passwords wait to be checked).

`)
	row(&b, "method", "path", "what it does")
	b.WriteString("|---|---|---|\n")
	for _, p := range pages {
		row(&b, cmp.Or(p.Method, "GET"), "`"+p.Path+"`", cell(p.Doc))
	}
	b.WriteString("\n## Examples\n\n```\n")
	for _, p := range pages {
		flags := ""
		if p.Method == "POST" || p.Method == "PUT" {
			flags = " -X " + p.Method + " -H 'Content-Type: application/json'"
		}
		fmt.Fprintf(&b, "curl%s 'http://127.0.0.1:9644%s'\n", flags, p.Example)
	}
	b.WriteString("```\n")
	return b.String()
}
