package docs

import (
	"fmt"
	"strings"
)

// API is a row of the broker's table.
type API struct {
	Key      int16
	Name     string
	Min, Max int16
	Needs    string
	Note     string
}

// APIs is the page of the requests that are served.
func APIs(rows []API) string {
	var b strings.Builder
	b.WriteString(notice)
	fmt.Fprintf(&b, `# Kafka APIs

The %d requests of Apache Kafka's protocol that an agent serves, with their versions. ApiVersions
advertises exactly these, with the ranges of Apache Kafka 4.3; what
is not in this list is refused by closing the connection, as Kafka does; a too new ApiVersions is
answered. The column "needs" has the operations that the authorizer asks for, on each resource that a
request names: with `+"`security.authorizer: acl`"+` a caller needs them, with `+"`none`"+` everything is allowed.

`, len(rows))
	row(&b, "key", "request", "versions", "needs", "note")
	b.WriteString("|--:|---|---|---|---|\n")
	for _, r := range rows {
		row(&b, fmt.Sprint(r.Key), r.Name, fmt.Sprintf("%d to %d", r.Min, r.Max), r.Needs, cell(r.Note))
	}
	return b.String()
}
