package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

func newReplay(a *app) *cobra.Command {
	var f postFlags
	var order, seq string
	var times int
	var asRecorded bool
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "sends the callbacks of a record again, byte for byte",
		Long: `replay posts the callbacks that a record of the sandbox or of listen holds, or a
single envelope, to a shop. The bytes are never changed. It prints the old and
the new answer, and ends with 1 if an acknowledgement became a refusal or the
other way.

It posts to this machine and its private network only; --allow-callback opens
one host.`,
		Example: `  ottpay replay run.ndjson --to http://127.0.0.1:3000
  ottpay replay run.ndjson --to http://127.0.0.1:3000 --order A1001 --times 2
  ottpay replay callback.json --to http://127.0.0.1:3000/ottpay`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.poster(&f)
			if err != nil {
				return err
			}
			if times < 1 {
				return usagef("--times is 1 or more")
			}
			from, to, err := parseRange(seq)
			if err != nil {
				return err
			}
			text, err := a.input(cmd, args, "a record or an envelope")
			if err != nil {
				return err
			}
			messages, isRecord, err := readRecord(text)
			if err != nil {
				return err
			}
			if !isRecord {
				if len(bytes.TrimSpace(text)) == 0 {
					return configf("there is nothing to send: the input is empty")
				}
				wire := recordedBody(text)
				messages = []recordedMessage{{Seq: 1, Callback: true, Method: http.MethodPost, Wire: &wire, Header: http.Header{"Content-Type": {"application/json"}}}}
			}
			var chosen []recordedMessage
			for _, m := range messages {
				if !m.Callback || m.Wire == nil || order != "" && m.Order != order || m.Seq < from || m.Seq > to {
					continue
				}
				chosen = append(chosen, m)
			}
			if len(chosen) == 0 {
				return configf("the record holds no such callback")
			}
			ctx, stop := a.untilAskedToStop(cmd.Context())
			defer stop()
			return a.replay(ctx, p, chosen, times, asRecorded, isRecord)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.to, "to", "", "post to the shop at `URL`; without a path, to the recorded one")
	flags.StringVar(&order, "order", "", "only those of the order `ID`")
	flags.StringVar(&seq, "seq", "", "only those whose number lies in `A..B`")
	flags.IntVar(&times, "times", 1, "send each so often")
	flags.BoolVar(&asRecorded, "as-recorded", false, "keep the pauses of the record")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "wait so long for an answer")
	flags.StringArrayVar(&f.allow, "allow-callback", nil, "post to `HOST` wherever it is; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("order", a.completeOrders)
	return cmd
}

// parseRange reads A..B, A.., ..B or A.
func parseRange(text string) (from, to uint64, err error) {
	if text == "" {
		return 0, 1<<64 - 1, nil
	}
	bad := usagef("--seq is a range of numbers, such as 3..7")
	low, high, ok := strings.Cut(text, "..")
	if !ok {
		high = low
	}
	to = 1<<64 - 1
	if low != "" {
		if from, err = strconv.ParseUint(low, 10, 64); err != nil {
			return 0, 0, bad
		}
	}
	if high != "" {
		if to, err = strconv.ParseUint(high, 10, 64); err != nil {
			return 0, 0, bad
		}
	}
	if from > to || text == ".." {
		return 0, 0, bad
	}
	return from, to, nil
}

// replay sends messages and compares the answers.
func (a *app) replay(ctx context.Context, p *poster, messages []recordedMessage, times int, asRecorded, compare bool) error {
	changed, unanswered := 0, 0
	var last time.Time
	if !a.json {
		fmt.Fprintf(a.Out, "%-6s %-16s %-18s %s\n", "seq", "order", "then", "now")
	}
	for _, m := range messages {
		if asRecorded && !last.IsZero() && !m.At.IsZero() {
			select {
			case <-time.After(m.At.Sub(last)):
			case <-ctx.Done():
			}
		}
		last = m.At
		for range times {
			if ctx.Err() != nil {
				return &Failure{Code: CodeUnknown, Kind: KindUnknownOutcome, Message: "stopped before all was sent"}
			}
			to := *p.to
			if to.Path == "" || to.Path == "/" {
				if u, err := to.Parse(m.URL); err == nil && m.URL != "" {
					to.Path, to.RawPath, to.RawQuery = u.Path, u.RawPath, u.RawQuery
				}
			}
			method := m.Method
			if method == "" {
				method = http.MethodPost
			}
			r, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(*m.Wire))
			if err != nil {
				return configf("message %d cannot be sent: %v", m.Seq, err)
			}
			for name, values := range m.Header {
				switch name {
				case "Host", "Content-Length", "Connection", "Transfer-Encoding", "Accept-Encoding", "Authorization", "Cookie":
					continue
				}
				r.Header[name] = values
			}
			got := p.send(ctx, r)
			if got.refuse != nil {
				return got.refuse
			}
			differs := compare && got.status != 0 && m.Status != 0 && (m.Status == http.StatusOK) != got.acknowledged()
			if differs {
				changed++
			}
			if got.status == 0 {
				unanswered++
			}
			a.replayed(m, got, differs)
		}
	}
	switch {
	case unanswered > 0:
		return &Failure{Code: CodeUnknown, Kind: KindUnknownOutcome, Message: fmt.Sprintf("outcome unknown: %d of the callbacks got no answer", unanswered)}
	case changed > 0:
		return &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("%d of the answers changed between acknowledged and not", changed)}
	}
	return nil
}

func (a *app) replayed(m recordedMessage, got reply, differs bool) {
	if a.json {
		e := ottpaytest.Event{
			Seq: m.Seq, At: time.Now().UTC().Truncate(time.Millisecond), Type: ottpaytest.EventDeliveryAnswered, Merchant: m.Merchant, Order: m.Order,
			Kind: ottpaytest.Replay, Status: got.status, MS: got.took.Milliseconds(), Acknowledged: got.acknowledged(),
		}
		if got.status == 0 {
			e.Type, e.Why = ottpaytest.EventDeliveryFailed, got.why
		}
		more := map[string]any{"changed": differs}
		if m.Status != 0 {
			more["old_status"] = m.Status
		}
		if line, err := mergedEvent(e, more); err == nil {
			fmt.Fprintf(a.Out, "%s\n", line)
		}
		return
	}
	old := "-"
	if m.Status != 0 {
		old = strconv.Itoa(m.Status)
		if m.Answer != nil {
			if first := firstLine(*m.Answer); first != "" {
				old += " " + first
			}
		}
	}
	word := ""
	if differs {
		word = "   " + a.paint(a.Out, yellow, "changed")
	}
	fmt.Fprintf(a.Out, "%-6s %-16s %-18s %s   %d ms%s\n", fmt.Sprintf("#%d", m.Seq), cleanWord(orDash(m.Order)), old, got.answerWords(), got.took.Milliseconds(), word)
}

// fromRecord returns the bytes of message seq of a record.
func fromRecord(text []byte, seq uint64) ([]byte, error) {
	messages, ok, err := readRecord(text)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, configf("the file is no record")
	}
	for _, m := range messages {
		if m.Seq == seq && m.Wire != nil {
			return *m.Wire, nil
		}
	}
	return nil, configf("the record holds no message %d", seq)
}

// fromSandbox returns the bytes of message seq of the running sandbox.
func (a *app) fromSandbox(ctx context.Context, seq uint64) ([]byte, error) {
	var m struct {
		Wire       *string
		WireBase64 []byte `json:"wire_base64"`
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := a.callAPI(ctx, a.sandboxURL(), http.MethodGet, fmt.Sprintf("/messages/%d", seq), &m); err != nil {
		return nil, configf("no sandbox at %s has a message %d", a.sandboxURL(), seq)
	}
	if m.Wire != nil {
		return []byte(*m.Wire), nil
	}
	return m.WireBase64, nil
}
