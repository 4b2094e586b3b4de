package main

import "fmt"

// row compares a value of one broker's line with another's.
type row struct {
	title      string
	base       [2]string // line and broker; empty: there is nothing to compare with
	ours       [2]string
	value      func(sample) float64
	unit, goal string
}

func mbs(s sample) float64      { return s.MBs }
func requests(s sample) float64 { return s.Requests }
func cpu(s sample) float64      { return s.CPUPerGB }
func e2e50(s sample) float64    { return s.EndToEnd.P50 }
func e2e99(s sample) float64    { return s.EndToEnd.P99 }
func ack99(s sample) float64    { return s.Latency.P99 }
func peak(s sample) float64     { return s.Peak }
func ms(s sample) float64       { return s.Ms }
func gap99(s sample) float64    { return s.Gap.P99 }
func gapMax(s sample) float64   { return s.Gap.Max }
func secs(s sample) float64     { return s.Seconds }

// pair is a line that both brokers ran.
func pair(title, line string, value func(sample) float64, unit, goal string) row {
	return row{title, [2]string{line, "kafka"}, [2]string{line, "varve"}, value, unit, goal}
}

// against is a line of Varve's beside another of its own.
func against(title, base, ours string, value func(sample) float64, unit, goal string) row {
	return row{title, [2]string{base, "varve"}, [2]string{ours, "varve"}, value, unit, goal}
}

var rows = []row{
	pair("rawproduce 64 KiB, 1 connection x 4", "large", mbs, "MB/s", ">= 4"),
	pair("its CPU", "large", cpu, "s/GB", "<= 0.25"),
	against("the same with files to use again, beside a fresh directory", "large-fresh", "large", mbs, "MB/s", ""),
	pair("rawproduce 64 KiB, 2 connections x 4", "large2", mbs, "MB/s", ">= 4"),
	pair("its CPU", "large2", cpu, "s/GB", "<= 0.25"),
	pair("rawproduce 4 KiB, 4 connections x 16", "small", requests, "req/s", ">= 4"),
	pair("its CPU", "small", cpu, "s/GB", ""),
	pair("rawfetch of what was just written", "fetch", mbs, "MB/s", ">= 1"),
	pair("its CPU", "fetch", cpu, "s/GB", ""),
	pair("e2e 1,000/s p50", "e2e1k", e2e50, "ms", "<= 1"),
	pair("e2e 1,000/s p99", "e2e1k", e2e99, "ms", "<= 0.5"),
	pair("e2e 10,000/s p50", "e2e10k", e2e50, "ms", "<= 1"),
	pair("e2e 10,000/s p99", "e2e10k", e2e99, "ms", "<= 0.5"),
	against("catch-up from MinIO by 1 connection, beside plain GETs", "rawget", "catchup-1", mbs, "MB/s", ">= 0.8"),
	against("catch-up from MinIO by 6 connections, beside plain GETs", "rawget", "catchup-6", mbs, "MB/s", ">= 0.8"),
	against("producers' p99 during catch-up, beside alone", "p99-alone", "p99-beside", ack99, "ms", "<= 1.2"),
	against("producers' p99 beside plain GETs past the agent", "p99-alone", "p99-past", ack99, "ms", ""),
	against("rawproduce, 10,000 partitions beside 10", "partitions-10", "partitions-10000", mbs, "MB/s", ">= 0.9"),
	{"ready with 10,000 partitions", [2]string{}, [2]string{"start-10000", "varve"}, ms, "ms", "<= 2000 ms"},
	pair("peak resident, rawproduce 64 KiB", "large", peak, "MB", "<= 400 MB"),
	pair("peak resident, rawproduce 4 KiB", "small", peak, "MB", "<= 400 MB"),
	pair("3 brokers, rawproduce 64 KiB, 1 connection x 4 to each", "large3", mbs, "MB/s", ">= 5"),
	pair("its CPU", "large3", cpu, "s/GB", "<= 0.2"),
	against("the same with files to use again, beside a fresh directory", "large3-fresh", "large3", mbs, "MB/s", ""),
	pair("3 brokers, e2e 1,000/s p50", "e2e1k3", e2e50, "ms", "<= 1"),
	pair("3 brokers, e2e 1,000/s p99", "e2e1k3", e2e99, "ms", "<= 0.33"),
	pair("3 brokers, e2e 5,000/s p50", "e2e5k3", e2e50, "ms", "<= 1"),
	pair("3 brokers, e2e 5,000/s p99", "e2e5k3", e2e99, "ms", "<= 0.33"),
	pair("kill -9, 300 partitions, longest gap", "gap300", gapMax, "ms", "<= 1000 ms"),
	pair("kill -9, 1,000 partitions, longest gap", "gap1000", gapMax, "ms", "<= 1000 ms"),
	pair("kill -9, 1,000 partitions, p99 of gaps", "gap1000", gap99, "ms", "<= 1000 ms"),
	pair("graceful stop, 300 partitions, longest gap", "stop", gapMax, "ms", "<= 250 ms"),
	pair("graceful stop, 300 partitions, p99 of gaps", "stop", gap99, "ms", "<= 250 ms"),
	pair("1,000 moves of partitions", "moves", secs, "s", "<= 5 s"),
	pair("peak resident of the largest of 3, rawproduce 64 KiB", "large3", peak, "MB", "<= 400 MB"),
	against("produce p99 with a disk slow by 100 ms, beside without", "slow-without", "slow-with", ack99, "ms", "<= 2"),
	{"peak resident, 10,000 partitions", [2]string{}, [2]string{"partitions-10000", "varve"}, peak, "MB", ""},
}

// print writes the row if it was measured.
func (r row) print(samples []sample) {
	ours, ok := median(samples, r.ours[0], r.ours[1], r.value)
	if !ok {
		return
	}
	base, ratio := "-", "-"
	if b, ok := median(samples, r.base[0], r.base[1], r.value); ok && r.base[0] != "" && b > 0 {
		base, ratio = number(b, r.unit), fmt.Sprintf("%.2f", ours/b)
	}
	fmt.Printf("| %s | %s | %s | %s | %s |\n", r.title, base, number(ours, r.unit), ratio, r.goal)
}

func number(v float64, unit string) string {
	if v < 20 {
		return fmt.Sprintf("%.2f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}
