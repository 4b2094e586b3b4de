// Command table reads the measurements of bench/compare, a line of JSON each, and
// prints medians and ratios as a Markdown table.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// sample is one measurement; fields that a line does not have are 0.
type sample struct {
	Line     string  `json:"line"`
	Broker   string  `json:"broker"`
	Peak     float64 `json:"peak_mb"`
	Ms       float64 `json:"ms"`
	MBs      float64 `json:"mb_s"`
	Requests float64 `json:"req_s"`
	CPUPerGB float64 `json:"cpu_s_per_gb"`
	Errors   int     `json:"errors"`
	Latency  latency `json:"lat_ms"`
	EndToEnd latency `json:"e2e_ms"`
	Gap      latency `json:"gap_ms"`
	Seconds  float64 `json:"secs"`
}

type latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func main() {
	samples, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
	fmt.Println("| line | Kafka or yardstick | Varve | ratio | aim |\n|---|---|---|---|---|")
	for _, r := range rows {
		r.print(samples)
	}
	for _, s := range samples {
		if s.Errors > 0 {
			fmt.Printf("\n%s of %s had %d errors.\n", s.Line, s.Broker, s.Errors)
		}
	}
}

func read(r io.Reader) (samples []sample, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		samples = append(samples, s)
	}
	return samples, lines.Err()
}

// median of a value over all measurements of a line by a broker.
func median(samples []sample, line, broker string, value func(sample) float64) (float64, bool) {
	var v []float64
	for _, s := range samples {
		if s.Line == line && s.Broker == broker {
			v = append(v, value(s))
		}
	}
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2, true
}
