// Package dashboards has Varve's Grafana dashboards, and checks them and the rules for
// Prometheus. 'make docs' writes the dashboards to deploy/grafana.
//
// It promises that every expression names only metrics that docs/metrics.md or the recording
// rules have; that each returns something is shown by e2e.
package dashboards

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Dashboard is one page of Grafana.
type Dashboard struct {
	Name       string // of its file, and its id in Grafana: varve-NAME
	Title, Doc string
	Variables  []Variable // beside datasource and job
	Rows       []Row
}

// Variable is what a reader of a dashboard chooses. Its values are those of a label.
type Variable struct {
	Name   string // as in $Name
	Label  string // of Metric
	Metric string
}

// Row is panels under a title.
type Row struct {
	Title  string
	Panels []Panel
}

// Kinds of panels.
const (
	Lines = "timeseries"
	Stat  = "stat"
	Table = "table"
)

// Panel shows one or more expressions.
type Panel struct {
	Title   string
	Doc     string
	Kind    string // empty: Lines
	Unit    string // as Grafana names it: bytes, Bps, s, short, percentunit
	Queries []Query
}

// Query is an expression, and the legend of its series.
type Query struct{ Expr, Legend string }

// All are the dashboards.
func All() []Dashboard {
	return []Dashboard{overview(), topics(), agents(), tier(), groups(), producers()}
}

// Expressions lists all that a dashboard asks Prometheus.
func (d *Dashboard) Expressions() (all []string) {
	for _, r := range d.Rows {
		for _, p := range r.Panels {
			for _, q := range p.Queries {
				all = append(all, q.Expr)
			}
		}
	}
	return all
}

var variable = regexp.MustCompile(`\$(\w+)`)

// Expand replaces Grafana's variables: a rate is taken over interval, and of all else everything
// is chosen.
func Expand(expr, interval string) string {
	return variable.ReplaceAllStringFunc(expr, func(name string) string {
		if name == "$__rate_interval" {
			return interval
		}
		return ".*"
	})
}

var metricName = regexp.MustCompile(`\b(?:[a-z_]+:)?(?:varve|kafka)_[a-z0-9_]+(?::[a-z0-9_]+)?`)

// Metrics lists the metrics of Varve, and the recording rules, that an expression names.
func Metrics(expr string) []string { return metricName.FindAllString(expr, -1) }

// File returns the dashboard as Grafana imports it.
func (d *Dashboard) File() string {
	type object = map[string]any
	source := object{"type": "prometheus", "uid": "${datasource}"}
	var panels []object
	id, y := 0, 0
	for _, r := range d.Rows {
		id++
		panels = append(panels, object{"id": id, "type": "row", "title": r.Title, "collapsed": false, "gridPos": object{"x": 0, "y": y, "w": 24, "h": 1}, "panels": []object{}})
		y++
		x, height := 0, 0
		for _, p := range r.Panels {
			w, h := p.size()
			if x+w > 24 {
				x, y, height = 0, y+height, 0
			}
			id++
			panels = append(panels, p.object(id, source, object{"x": x, "y": y, "w": w, "h": h}))
			x, height = x+w, max(height, h)
		}
		y += height
	}
	variables := []object{
		{"name": "datasource", "label": "data source", "type": "datasource", "query": "prometheus", "current": object{}},
		choice(Variable{"job", "job", "varve_build_info"}, "varve_build_info"),
	}
	for _, v := range d.Variables {
		variables = append(variables, choice(v, v.Metric+`{job=~"$job"}`))
	}
	b, err := json.MarshalIndent(object{
		"uid": "varve-" + d.Name, "title": d.Title, "description": d.Doc, "tags": []string{"varve", "kafka"}, "timezone": "browser", "schemaVersion": 39, "version": 1, "editable": true,
		"graphTooltip": 1, "refresh": "30s", "time": object{"from": "now-1h", "to": "now"}, "templating": object{"list": variables}, "panels": panels,
		"links":       []object{{"type": "dashboards", "title": "Varve", "tags": []string{"varve"}, "asDropdown": true, "includeVars": true, "keepTime": true}},
		"annotations": object{"list": []object{}},
	}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("dashboards: %v", err)) // strings and numbers only
	}
	return strings.ReplaceAll(string(b), `\u0026`, "&") + "\n"
}

// choice is a variable with all values chosen at first.
func choice(v Variable, of string) map[string]any {
	all := map[string]any{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}}
	return map[string]any{"name": v.Name, "label": v.Name, "type": "query", "datasource": map[string]any{"type": "prometheus", "uid": "${datasource}"}, "refresh": 2, "sort": 1,
		"query": fmt.Sprintf("label_values(%s, %s)", of, v.Label), "multi": true, "includeAll": true, "allValue": ".*", "current": all}
}

func (p *Panel) size() (w, h int) {
	switch p.Kind {
	case Stat:
		return 4, 4
	case Table:
		return 24, 9
	}
	return 8, 8
}

func (p *Panel) object(id int, source, at map[string]any) map[string]any {
	type object = map[string]any
	kind := p.Kind
	if kind == "" {
		kind = Lines
	}
	var targets []object
	for i, q := range p.Queries {
		t := object{"refId": string(rune('A' + i)), "datasource": source, "expr": q.Expr, "legendFormat": q.Legend}
		if kind != Lines {
			t["instant"], t["range"] = true, false
		}
		if kind == Table {
			t["format"] = "table"
		}
		targets = append(targets, t)
	}
	o := object{"id": id, "type": kind, "title": p.Title, "description": p.Doc, "datasource": source, "gridPos": at, "targets": targets,
		"fieldConfig": object{"defaults": object{"unit": p.Unit}, "overrides": []object{}}}
	switch kind {
	case Lines:
		o["fieldConfig"].(object)["defaults"].(object)["custom"] = object{"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
		o["options"] = object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	case Stat:
		o["options"] = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "colorMode": "value", "graphMode": "area"}
	}
	return o
}
