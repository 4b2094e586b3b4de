//go:build full

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"varve/internal/dashboards"
)

// A picture has panels of this size, and shows so much time.
const (
	panelWidth, panelHeight = 400, 190
	plotTop, plotHeight     = 34, 110
	panelsBeside            = 3
	pictured                = 3 * time.Minute
	steps                   = 60
	mostLines               = 6 // of a panel
)

// line is one series of a panel.
type line struct {
	legend string
	points [][2]float64 // time and value
}

// draw writes a plain rendering of every dashboard, as a picture for the docs: it shows what
// Prometheus answers, not how Grafana looks.
func (p *prometheus) draw(dir string) {
	p.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	now := time.Now()
	for _, d := range dashboards.All() {
		var b strings.Builder
		y := 40
		for _, row := range d.Rows {
			fmt.Fprintf(&b, `<text x="8" y="%d" font-size="14" font-weight="bold">%s</text>`+"\n", y+4, html.EscapeString(row.Title))
			y += 12
			for i, panel := range row.Panels {
				if i > 0 && i%panelsBeside == 0 {
					y += panelHeight
				}
				p.drawPanel(&b, panel, i%panelsBeside*panelWidth, y, now)
			}
			y += panelHeight + 20
		}
		svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="10">`+"\n"+`<rect width="100%%" height="100%%" fill="white"/>`+"\n"+`<text x="8" y="20" font-size="16" font-weight="bold">%s</text>`+"\n",
			panelsBeside*panelWidth, y, html.EscapeString(d.Title)) + b.String() + "</svg>\n"
		if err := os.WriteFile(filepath.Join(dir, "varve-"+d.Name+".svg"), []byte(svg), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

var colours = []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf"}

func (p *prometheus) drawPanel(b *strings.Builder, panel dashboards.Panel, x, y int, now time.Time) {
	lines := p.lines(panel, now)
	top := 0.0
	for _, l := range lines {
		for _, at := range l.points {
			top = max(top, at[1])
		}
	}
	top = cmp.Or(top, 1)
	fmt.Fprintf(b, `<g transform="translate(%d,%d)"><rect x="4" y="2" width="%d" height="%d" fill="none" stroke="#ccc"/><text x="10" y="16" font-weight="bold">%s</text><text x="10" y="29" fill="#666">up to %s</text>`+"\n",
		x, y, panelWidth-8, panelHeight-6, html.EscapeString(panel.Title), html.EscapeString(inUnit(top, panel.Unit)))
	begin := float64(now.Add(-pictured).UnixMilli()) / 1000
	for i, l := range lines {
		var points []string
		for _, at := range l.points {
			px := 10 + (at[0]-begin)/pictured.Seconds()*(panelWidth-20)
			py := plotTop + plotHeight*(1-max(0, at[1])/top)
			points = append(points, fmt.Sprintf("%.0f,%.1f", px, py))
		}
		last := l.points[len(l.points)-1][1]
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n",
			strings.Join(points, " "), colours[i], 10+i%2*195, plotTop+plotHeight+14+i/2*11, colours[i], html.EscapeString(short(l.legend)+" "+inUnit(last, panel.Unit)))
	}
	b.WriteString("</g>\n")
}

// short shortens a legend to what has room.
func short(s string) string {
	if len(s) > 26 {
		return s[:24] + ".."
	}
	return s
}

// inUnit writes a value in the unit of a panel.
func inUnit(v float64, unit string) string {
	switch unit {
	case "percentunit":
		return strconv.FormatFloat(v*100, 'g', 3, 64) + " %"
	case "s":
		return time.Duration(v * float64(time.Second)).Round(10 * time.Microsecond).String()
	}
	for _, size := range []struct {
		of   float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= size.of {
			return strconv.FormatFloat(v/size.of, 'g', 3, 64) + " " + size.name + suffixes[unit]
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + " " + suffixes[unit]
}

var suffixes = map[string]string{"bytes": "B", "Bps": "B/s", "reqps": "/s"}

var placeholder = regexp.MustCompile(`{{(\w+)}}`)

// lines are the series of a panel over time, the largest first.
func (p *prometheus) lines(panel dashboards.Panel, now time.Time) (all []line) {
	p.t.Helper()
	for _, q := range panel.Queries {
		ask := url.Values{"query": {dashboards.Expand(q.Expr, "30s")}, "start": {strconv.FormatInt(now.Add(-pictured).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)}, "step": {strconv.Itoa(int(pictured.Seconds()) / steps)}}
		page, err := get("http://" + p.addr + "/api/v1/query_range?" + ask.Encode())
		if err != nil {
			p.t.Fatal(err)
		}
		var answer struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Values [][2]any
				}
			}
		}
		if err := json.Unmarshal([]byte(page), &answer); err != nil {
			p.t.Fatal(err)
		}
		for _, s := range answer.Data.Result {
			l := line{legend: placeholder.ReplaceAllStringFunc(q.Legend, func(name string) string { return s.Metric[strings.Trim(name, "{}")] })}
			for _, at := range s.Values {
				v, err := strconv.ParseFloat(at[1].(string), 64)
				if err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
					l.points = append(l.points, [2]float64{at[0].(float64), v})
				}
			}
			if len(l.points) > 0 {
				all = append(all, l)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b line) int { return cmp.Compare(b.points[len(b.points)-1][1], a.points[len(a.points)-1][1]) })
	return all[:min(len(all), mostLines)]
}
