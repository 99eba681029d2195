// Command growth measures how the cost of the kit grows: with the size of a
// callback, with keys and merchants, with what was handled before, with what
// strangers send, and with time. It prints a part of docs/performance.md.
//
//	go run ./bench/growth                                    # the tables, to standard output
//	go run ./bench/growth -write docs/performance.md         # between the page's marks
//	go run ./bench/growth -only callbacks,forgeries
//	go run ./bench/growth -soak 30m -rate 200 -write docs/performance.md
//
// Each figure of memory, of log lines and of goroutines stands beside its bound.
// If one is above it, the exit status is 1 and nothing is written. Times have no
// bound.
//
// The senders of bodies, and what surrounds the shop of the soak, are processes
// of their own, so that what is measured is the shop's alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if asChild() {
		return
	}
	var o options
	flag.StringVar(&o.write, "write", "", "a Markdown page, whose part between the marks is replaced")
	flag.StringVar(&o.only, "only", "", "what to measure, such as callbacks,stores; empty: all but the soak")
	flag.DurationVar(&o.soak.duration, "soak", 0, "how long a shop runs under load; the other measurements are then left out")
	flag.DurationVar(&o.soak.every, "every", 30*time.Second, "how often the soak looks at heap and goroutines")
	flag.Float64Var(&o.soak.rate, "rate", 200, "posts a second to the webhook of the soak")
	flag.Parse()
	o.soak.memory = 1 << 14
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	part, measure := "growth", growth
	if o.soak.duration > 0 {
		part, measure = "soak", longRun
	}
	err := run(ctx, o, part, measure)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

// asChild does the work of a child, if this process is one.
func asChild() bool {
	var w worldConfig
	var s senderConfig
	var err error
	switch {
	case childConfig(worldVariable, &w):
		err = runWorld(w)
	case childConfig(senderVariable, &s):
		err = runSenders(s)
	default:
		return false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "growth: in another process:", err)
		os.Exit(1)
	}
	return true
}

type options struct {
	write string
	only  string
	soak  soakConfig
}

func (o options) wants(name string) bool {
	return o.only == "" || slices.Contains(strings.Split(o.only, ","), name)
}

// run measures and writes a part of the page, unless a bound is broken.
func run(ctx context.Context, o options, part string, measure func(context.Context, *page, options) error) error {
	var p page
	if err := measure(ctx, &p, o); err != nil {
		return err
	}
	if err := p.err(); err != nil {
		_, _ = os.Stderr.Write(p.Bytes())
		return err
	}
	if o.write == "" {
		_, err := os.Stdout.Write(p.Bytes())
		return err
	}
	return replace(o.write, part, p.String())
}

// growth measures everything but the soak.
func growth(ctx context.Context, p *page, o options) error {
	p.printf("## How cost grows\n\n")
	command := "go run ./bench/growth"
	if o.only != "" {
		command += " -only " + o.only
	}
	machine(p, command)
	p.printf("\nTimes are those of the processors, garbage collection included, so that they depend little on what else the machine does; in the first two parts they are the medians of rounds that take turns.\n")
	p.printf("They have no bound.\nA figure of memory, log lines or goroutines that is above its bound fails the command.\n")
	t := timing{rounds: 6, each: 200 * time.Millisecond}
	for _, m := range []struct {
		name string
		do   func() error
	}{
		{"callbacks", func() error {
			return sizes(ctx, p, t, []int{0, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, limitOfBody})
		}},
		{"keys", func() error { return keysAndMerchants(ctx, p, t, []int{1, 2, 8}, []int{1, 1000, 100_000}) }},
		{"stores", func() error {
			all, err := keepers()
			if err != nil {
				return err
			}
			return stores(ctx, p, all, 10_000_000)
		}},
		{"connections", func() error {
			handler, err := endpoint(ourKeys(), newLines())
			if err != nil {
				return err
			}
			return bodies(ctx, p, handler, 10*time.Second, 0, floods(1000, 10<<20, 1000, 4000))
		}},
		{"forgeries", func() error {
			log := newLines()
			handler, err := endpoint(ourKeys(), log)
			if err != nil {
				return err
			}
			if err := refusals(ctx, p, handler, log, 1_000_000); err != nil {
				return err
			}
			return foreign(ctx, p, endpoint, 10_000, 100_000)
		}},
	} {
		if !o.wants(m.name) {
			continue
		}
		start := time.Now()
		if err := m.do(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(os.Stderr, "growth: %s: %v\n", m.name, time.Since(start).Round(time.Second))
	}
	return nil
}

// longRun measures the soak.
func longRun(ctx context.Context, p *page, o options) error {
	p.printf("## A shop under load\n\n")
	machine(p, fmt.Sprintf("go run ./bench/growth -soak %v -rate %v", o.soak.duration, o.soak.rate))
	p.printf("\n")
	r, err := soak(ctx, o.soak)
	if err != nil {
		return err
	}
	r.write(p)
	return nil
}
