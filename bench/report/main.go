// Command report measures every row of package bench in one run and prints the
// tables of docs/performance.md.
//
//	go run ./bench/report                                  # print
//	go run ./bench/report -write docs/performance.md       # replace the tables between the marks
//
// The rows of a group are measured in turn, round after round, so that a slow
// minute of the machine meets all of them; the figure is the median of the
// rounds.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/bench"
)

const (
	begin = "<!-- made by: go run ./bench/report -write docs/performance.md -->"
	end   = "<!-- end -->"
)

func main() {
	testing.Init()
	file := flag.String("write", "", "replace the tables in this file instead of printing them")
	rounds := flag.Int("rounds", 6, "how often each row is measured")
	benchtime := flag.String("time", "300ms", "how long a row is measured in a round")
	flag.Parse()
	if err := flag.Set("test.benchtime", *benchtime); err != nil {
		fail(err)
	}
	var out bytes.Buffer
	report(&out, *rounds)
	if *file == "" {
		_, _ = out.WriteTo(os.Stdout)
		return
	}
	if err := replace(*file, out.Bytes()); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "report:", err)
	os.Exit(1)
}

// replace writes text between the marks of file.
func replace(file string, text []byte) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	from, to := bytes.Index(old, []byte(begin)), bytes.Index(old, []byte(end))
	if from < 0 || to < from {
		return errors.New(file + " has no marks")
	}
	page := slices.Concat(old[:from], []byte(begin+"\n\n"), text, old[to:])
	return os.WriteFile(file, page, 0o644)
}

func report(w io.Writer, rounds int) {
	machine(w)
	for _, g := range bench.Groups() {
		fmt.Fprintf(w, "### %s\n\n`go test ./bench -run xxx -bench '^Benchmark%s$' -count %d`\n\n", g.Title, g.Name, rounds)
		fmt.Fprintln(w, "| | median | × | allocs | bytes | what it is |\n| --- | ---: | ---: | ---: | ---: | --- |")
		results := measure(g, rounds)
		for i, row := range g.Rows {
			r := results[i]
			fmt.Fprintf(w, "| %s | %s | %.2f | %d | %d | %s |\n", row.Name, duration(r.ns), r.ns/results[0].ns, r.allocs, r.bytes, row.Note)
		}
		fmt.Fprintln(w)
	}
	throughput(w, rounds)
	probes(w)
}

// result is the median of a row's rounds.
type result struct {
	ns            float64
	allocs, bytes int64
}

func measure(g bench.Group, rounds int) []result {
	times := make([][]float64, len(g.Rows))
	results := make([]result, len(g.Rows))
	for range rounds {
		for i, row := range g.Rows {
			r := testing.Benchmark(row.Run)
			if r.N == 0 {
				fail(fmt.Errorf("%s/%s failed", g.Name, row.Name))
			}
			times[i] = append(times[i], float64(r.T.Nanoseconds())/float64(r.N))
			results[i].allocs, results[i].bytes = r.AllocsPerOp(), r.AllocedBytesPerOp()
		}
	}
	for i := range results {
		slices.Sort(times[i])
		n := len(times[i])
		results[i].ns = (times[i][(n-1)/2] + times[i][n/2]) / 2
	}
	return results
}

func duration(ns float64) string { return fmt.Sprintf("%.2f µs", ns/1000) }

func throughput(w io.Writer, rounds int) {
	var t bench.Throughput
	r := testing.Benchmark(func(b *testing.B) {
		t = bench.MeasureThroughput(b, max(rounds, 5), 8, time.Second)
		for b.Loop() { // the rounds were the measurement
			continue
		}
	})
	if r.N == 0 || len(t.Bare) == 0 {
		fail(errors.New("throughput failed"))
	}
	fmt.Fprintln(w, "### Requests a second over loopback\n\nEight connections, rounds of one second that alternate between the two, every delivery of an order of its own.\n\n`go test ./bench -run xxx -bench '^BenchmarkThroughput$' -benchtime 1x`\n\n| | requests/s |\n| --- | ---: |")
	fmt.Fprintf(w, "| the webhook with the memory store | %.0f |\n", middle(t.Webhook))
	fmt.Fprintf(w, "| a bare handler that reads the body and unmarshals the envelope | %.0f |\n", middle(t.Bare))
	fmt.Fprintf(w, "| median of the pairs' ratios | %.2f |\n\n", t.Ratio())
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func probes(w io.Writer) {
	var answers [][]string
	var names []string
	testing.Benchmark(func(b *testing.B) {
		if answers == nil {
			answers, names = bench.Ask(b)
		}
		for b.Loop() {
			continue
		}
	})
	if answers == nil {
		fail(errors.New("the probes failed"))
	}
	fmt.Fprintln(w, "### Correctness beside the timings\n\nEach endpoint is built as its library's documentation shows. The peers verify signatures and leave idempotency to the shop, so a second run of the handler is no fault of theirs: it is work that the shop has to add.\n\n`go test ./bench -run TestProbes` states ours.")
	fmt.Fprintf(w, "\n| | safe is | %s |\n| --- | --- |%s\n", strings.Join(names, " | "), strings.Repeat(" --- |", len(names)))
	for i, p := range bench.Probes() {
		fmt.Fprintf(w, "| %s | %s | %s |\n", p.Name, p.Good, strings.Join(answers[i], " | "))
	}
	fmt.Fprintln(w)
}

// machine says where and with which versions the figures were taken.
func machine(w io.Writer) {
	fmt.Fprintf(w, "Measured on %s, %s, %s/%s, %d cores, %s.\n", time.Now().UTC().Format("2006-01-02"), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpu())
	if commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		fmt.Fprintf(w, "Commit %s.\n", strings.TrimSpace(string(commit)))
	}
	peers := []string{"stripe-go", "standard-webhooks", "svix-webhooks", "paddle-go-sdk", "go-playground/webhooks", "validator"}
	var versions []string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			for _, p := range peers {
				if strings.Contains(m.Path, p) {
					versions = append(versions, m.Path+" "+m.Version)
				}
			}
		}
	}
	fmt.Fprintf(w, "Versions: %s.\n\n", strings.Join(versions, ", "))
}

// cpu returns the processor's name, where the system tells it.
func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "processor unknown"
}
