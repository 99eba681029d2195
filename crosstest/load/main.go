// Command load measures what one machine carries: deliveries per second, and how
// long one takes, through the kit's webhook with each store, by the number of
// connections and of replicas; and through a message broker while its consumers
// are killed.
//
//	go run ./crosstest/load                                  # the tables, to standard output
//	go run ./crosstest/load -write docs/performance.md       # between the page's markers
//	go run ./crosstest/load -only postgres -conns 8 -replicas 1,2 -d 5s
//
// Gateway, webhooks and servers share the machine. PostgreSQL, MariaDB and Redis
// are private servers with their default settings, as is a file for SQLite. NATS
// and RabbitMQ are those of OTTPAY_TEST_NATS and OTTPAY_TEST_RABBITMQ, or listen
// on their standard ports. What is not installed is left out and named, but with
// CI=true that is an error.
//
// After each run the database is asked whether every acknowledged delivery was
// handled, once. The exit status is 1 if one was not.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ottpaykit/ottpay/crosstest/private"
)

type options struct {
	duration  time.Duration
	conns     []int
	replicas  []int
	only      []string
	messages  int
	write     string
	consumers int
}

func main() {
	if cfg, ok := consumerConfig(); ok {
		if err := consume(cfg); err != nil {
			fmt.Fprintln(os.Stderr, "load: consumer:", err)
			os.Exit(1)
		}
		return
	}
	o := options{conns: []int{2, 8, 32}, replicas: []int{1, 2, 4}, consumers: 3}
	var only string
	flag.DurationVar(&o.duration, "d", 3*time.Second, "how long each combination is measured")
	flag.Func("conns", "connections per replica (default 2,8,32)", numbers(&o.conns))
	flag.Func("replicas", "replicas (default 1,2,4)", numbers(&o.replicas))
	flag.StringVar(&only, "only", "", "stores and brokers to measure, such as postgres,nats; empty: all")
	flag.IntVar(&o.messages, "messages", 2000, "deliveries through each broker")
	flag.StringVar(&o.write, "write", "", "a Markdown page, whose part between the markers is replaced")
	flag.Parse()
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// numbers parses a list of positive numbers.
func numbers(to *[]int) func(string) error {
	return func(text string) error {
		*to = nil
		for part := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is no positive number", part)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

func (o options) wants(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }

func run(ctx context.Context, o options) error {
	var page bytes.Buffer
	fmt.Fprintf(&page, "Measured by `go run ./crosstest/load` on %s: %s, %s %s/%s, GOMAXPROCS %d%s.\n\n",
		time.Now().UTC().Format(time.DateOnly), processor(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), others())
	var errs []error
	if slices.ContainsFunc(kinds, func(k kind) bool { return o.wants(k.name) }) {
		errs = append(errs, stores(ctx, o, &page))
	}
	if slices.ContainsFunc(queues, func(q queue) bool { return o.wants(q.name) }) {
		errs = append(errs, brokers(ctx, o, &page))
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprint(os.Stderr, page.String())
		return err
	}
	if o.write == "" {
		_, err := os.Stdout.Write(page.Bytes())
		return err
	}
	return replace(o.write, page.String())
}

const begin, end = "<!-- load: begin -->\n", "<!-- load: end -->\n"

// replace writes the text between the page's markers.
func replace(path, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no %q and %q", path, begin, end)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+strings.TrimRight(text, "\n")+"\n\n"+end+after), 0o644)
}

// processor is the name of the machine's, and how many it has.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return fmt.Sprintf("%s, %d processors", strings.TrimSpace(value), runtime.NumCPU())
		}
	}
	return fmt.Sprintf("%d processors", runtime.NumCPU())
}

// others says how busy the machine is with other things.
func others() string {
	text, err := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	if err != nil || one == "" {
		return ""
	}
	return ", load average " + one + " before it began"
}

// absent reports whether err says that something is not installed, which is told
// and no error, but with CI=true.
func absent(err error) bool {
	return (errors.Is(err, private.ErrAbsent) || errors.Is(err, errNoBroker)) && os.Getenv("CI") != "true"
}
