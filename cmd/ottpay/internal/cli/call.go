package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
	"github.com/ottpaykit/ottpay/validate"
)

// callFlags are the flags of commands that call the gateway.
type callFlags struct {
	keys     keyFlags
	to       string
	live     bool
	operator string
	timeout  time.Duration
	wait     string
	qr       bool
	dryRun   bool
	extra    bool
	fill     bool
}

func (f *callFlags) addTarget(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "call the gateway at `URL` (default OTTPAY_BASE_URL, else the sandbox)")
	flags.BoolVar(&f.live, "live", false, "call the vendor's gateway: every call is real")
	flags.StringVar(&f.operator, "operator", "", "name operator `ID` (default OTTPAY_OPERATOR_ID)")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "wait so long for an answer")
	f.keys.add(cmd)
	f.keys.addMerchant(a, cmd)
}

func newCall(a *app) *cobra.Command {
	f := &callFlags{}
	cmd := &cobra.Command{
		Use:   "call ACTION [name=value…]",
		Short: "makes one request to the gateway, through the kit's client",
		Long: `call builds a request of name=value (strings) and name:=JSON, seals it, sends it
and prints the decrypted answer. Amounts are cents. It goes to the sandbox unless
OTTPAY_BASE_URL or --to names another gateway; the vendor's takes --live.

It ends with 0 if the gateway did it, 1 if it refused, 4 if it has accepted and
not decided, and 3 if the outcome is unknown: then ask with STATUS_QUERY, and never send
the payment again.`,
		Example: `  ottpay call H5PAY --fill order_id=A1001 amount=1999
  ottpay call STATUS_QUERY order_id=A1001
  ottpay call ACTIVEPAY --fill amount=500 --qr --wait paid
  ottpay call REFUND order_id=R1001 ori_order_id=A1001 refund_amt=500`,
		ValidArgsFunction: completeCall,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				a.concise(a.Err, cmd)
				return usagef("call needs an action, such as STATUS_QUERY")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.call(cmd.Context(), f, args[0], args[1:]) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.addTarget(a, cmd)
	flags.BoolVar(&f.fill, "fill", false, "fill required members that are missing with the document's examples")
	flags.StringVar(&f.wait, "wait", "", "wait until the order is `paid`")
	flags.BoolVar(&f.qr, "qr", false, "draw the code or the link for the payer")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the sealed request and send nothing")
	flags.BoolVar(&f.extra, "extra", false, "send members that the document does not know")
	_ = cmd.RegisterFlagCompletionFunc("wait", cobra.FixedCompletions([]string{"paid"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func newRates(a *app) *cobra.Command {
	f := &callFlags{}
	cmd := &cobra.Command{
		Use:   "rates CURRENCY…",
		Short: "asks for exchange rates",
		Example: `  ottpay rates CAD
  ottpay rates CAD USD --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				a.concise(a.Err, cmd)
				return usagef("rates needs a currency, such as CAD")
			}
			return nil
		},
		ValidArgs: []string{"CAD", "USD", "CNY", "JPY"},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, _, err := a.client(f, nil)
			if err != nil {
				return err
			}
			for _, currency := range args {
				ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
				resp, err := client.ExchangeRateQuery(ctx, &api.ExchangeRateQueryRequest{FeeType: strings.ToUpper(currency)})
				cancel()
				if err != nil {
					return a.callFailed(err, f)
				}
				if a.json {
					err = a.object(struct {
						V        int    `json:"v"`
						Type     string `json:"type"`
						Currency string `json:"currency"`
						Rate     string `json:"rate"`
					}{1, "rate", strings.ToUpper(currency), decimalRate(resp.Rate)})
				} else {
					_, err = fmt.Fprintf(a.Out, "1 %s = %s CNY\n", strings.ToUpper(currency), decimalRate(resp.Rate))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	f.addTarget(a, cmd)
	return cmd
}

// decimalRate writes a rate, which counts in hundred-millionths, as a decimal.
func decimalRate(r field.Rate) string {
	const one = 100_000_000
	text := fmt.Sprintf("%d.%08d", int64(r)/one, int64(r)%one)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// completeCall completes the action and then its members, required ones first.
func completeCall(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeActions(nil, nil, "")
	}
	action, ok := api.LookupAction(args[0])
	if !ok {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, n := range memberNames(action.Request, true) {
		name, _, _ := strings.Cut(n, "=")
		if !slices.ContainsFunc(args[1:], func(arg string) bool { return strings.HasPrefix(arg, name+"=") || strings.HasPrefix(arg, name+":=") }) {
			names = append(names, n)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveKeepOrder
}

// target says which gateway is called.
func (a *app) target(f *callFlags) (*url.URL, error) {
	text := f.to
	if text == "" && !f.live {
		text = a.fallback("", envBaseURL, a.sandboxURL()+"/processV2")
	}
	if text == "" {
		if text = a.getenv(envBaseURL); text == "" || !vendorHost(text) {
			text = ottpay.DefaultURL
		}
	}
	u, err := parseHTTP(text, "--to")
	if err != nil {
		return nil, configf("the gateway's address %s is no URL", cleanLine(text)).hint("--to URL, or %s", envBaseURL)
	}
	if vendorHost(text) && !f.live {
		return nil, configf("%s is the vendor's gateway: every call there is real", u.Hostname()).hint("--live if you mean it")
	}
	return u, nil
}

// vendorHost reports whether an address is one of OTT Pay's.
func vendorHost(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	return host == "ottpay.com" || strings.HasSuffix(host, ".ottpay.com")
}

// client makes the kit's client. If capture is not nil, it sends.
func (a *app) client(f *callFlags, capture http.RoundTripper) (*ottpay.Client, *url.URL, error) {
	to, err := a.target(f)
	if err != nil {
		return nil, nil, err
	}
	ring, err := a.keyring(&f.keys)
	if err != nil {
		return nil, nil, err
	}
	merchant, _, err := a.sealingKey(ring, &f.keys)
	if err != nil {
		return nil, nil, err
	}
	keys := ring.of(merchant)
	if vendorHost(to.String()) && slices.ContainsFunc(keys, func(k signKey) bool { return k.text() == demoKey }) {
		return nil, nil, configf("the key of %s is the vendor's published example; it opens nothing at the vendor's gateway", merchant).
			hint("put your own into a file and name it with --keys, or set %s", envKey)
	}
	operator := a.fallback(f.operator, envOperator, "")
	if operator == "" && !vendorHost(to.String()) {
		operator = demoOperator
	}
	level := slog.LevelError + 4
	if a.verbose {
		level = slog.LevelDebug
	}
	cfg := ottpay.Config{
		MerchantID: merchant, OperatorID: operator, Keys: ringKeys{ring}, BaseURL: to.String(), Timeout: f.timeout,
		Poll:   ottpay.Backoff{First: 500 * time.Millisecond, Max: 3 * time.Second},
		Logger: slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level})), Base: capture,
	}
	if to.Scheme == "http" && !loopbackName(to.Hostname()) {
		// The client takes plain http for this machine alone. A sandbox in the
		// private network, as in a composition of containers, is reached through
		// a transport that judges the address when it connects.
		cfg.BaseURL = "http://127.0.0.1" + to.EscapedPath()
		if capture == nil {
			cfg.Base = sandbox.Callbacks(sandbox.CallbackConfig{To: to})
		}
	}
	c, err := ottpay.New(cfg)
	if err != nil {
		return nil, nil, configf("%s", strings.TrimPrefix(err.Error(), "ottpay: "))
	}
	return c, to, nil
}

func loopbackName(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// callArgs reads name=value and name:=JSON.
func (a *app) callArgs(action api.ActionInfo, f *callFlags, args []string) ([]byte, error) {
	schema, ok := api.LookupSchema(action.Request)
	if !ok {
		return nil, usagef("%s has no request in the document", action.Name)
	}
	object := make(map[string]json.RawMessage)
	for _, arg := range args {
		name, v, ok := strings.Cut(arg, "=")
		if !ok || name == "" || name == ":" {
			return nil, usagef("%q is not name=value or name:=JSON", cleanWord(arg))
		}
		raw := json.RawMessage(nil)
		if bare, isJSON := strings.CutSuffix(name, ":"); isJSON {
			name = bare
			if !json.Valid([]byte(v)) {
				return nil, usagef("%s:= is not JSON", cleanWord(name))
			}
			raw = json.RawMessage(v)
		} else {
			raw, _ = json.Marshal(v)
		}
		m, known := schema.Member(name)
		if !known && !f.extra {
			return nil, unknownMember(string(action.Name), name, schema)
		}
		if known {
			name = m.Name
		}
		if _, twice := object[name]; twice {
			return nil, usagef("%s stands twice", cleanWord(name))
		}
		object[name] = raw
	}
	if f.fill {
		for _, m := range schema.Members {
			if _, given := object[m.Name]; given || !m.Required || m.Role == api.RoleMerchant || m.Role == api.RoleOperator || m.Role == api.RoleOrderID {
				continue
			}
			switch {
			case m.Role == api.RoleCallbackURL:
				object[m.Name] = json.RawMessage(`"http://` + defaultListenAddr + `/"`)
			case m.Const != "":
				object[m.Name], _ = json.Marshal(m.Const)
			case m.Name == "biz_type" && slices.Contains(m.Enum, "WECHATPAY"):
				object[m.Name] = json.RawMessage(`"WECHATPAY"`)
			case m.Example != "":
				object[m.Name] = json.RawMessage(m.Example)
			}
		}
	}
	return json.Marshal(object)
}

// answerOf is what a generated response has.
type answerOf interface{ Order() string }

// send makes a typed call of JSON.
func send[Req, Resp any](ctx context.Context, data []byte, f func(context.Context, *Req) (*Resp, error)) (any, error) {
	var req Req
	if err := json.Unmarshal(data, &req); err != nil {
		return nil, usagef("%s", strings.TrimPrefix(err.Error(), "api: "))
	}
	resp, err := f(ctx, &req)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// callAction makes the call of an action.
func callAction(ctx context.Context, c *ottpay.Client, action api.Action, data []byte) (any, error) {
	switch action {
	case api.ActionACTIVEPAY:
		return send(ctx, data, c.ActivePay)
	case api.ActionCC_PREAUTH:
		return send(ctx, data, c.CardPreauth)
	case api.ActionCC_PURCHASE:
		return send(ctx, data, c.CardPurchase)
	case api.ActionCC_QUERYPAY:
		return send(ctx, data, c.CardQuery)
	case api.ActionEX_RATE_QUERY:
		return send(ctx, data, c.ExchangeRateQuery)
	case api.ActionH5PAY:
		return send(ctx, data, c.H5Pay)
	case api.ActionMAPPPAY:
		return send(ctx, data, c.MiniProgramPay)
	case api.ActionPASSIVEPAY:
		return send(ctx, data, c.PassivePay)
	case api.ActionPREPAY_INIT:
		return send(ctx, data, c.PrepayInit)
	case api.ActionPREPAY_QUERY:
		return send(ctx, data, c.PrepayQuery)
	case api.ActionREFUND:
		return send(ctx, data, c.Refund)
	case api.ActionSTATUS_QUERY:
		return send(ctx, data, c.StatusQuery)
	}
	return nil, usagef("%s cannot be called from here", action)
}

// captured is the error of a request that was built and not sent.
var errCaptured = errors.New("captured")

// capture keeps the request in place of sending it.
type capture struct{ body []byte }

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.body = body
	return nil, errCaptured
}

func (a *app) call(ctx context.Context, f *callFlags, name string, args []string) error {
	action, ok := api.LookupAction(name)
	if !ok {
		return unknownAction(name)
	}
	if f.wait != "" && f.wait != "paid" {
		return usagef("--wait knows paid")
	}
	if f.wait != "" && (action.Kind != api.KindEffect || action.Effect == api.EffectRefund) {
		return usagef("--wait is for actions that a payer pays, and %s is none", action.Name)
	}
	data, err := a.callArgs(action, f, args)
	if err != nil {
		return err
	}
	var kept *capture
	var base http.RoundTripper
	if f.dryRun {
		kept = &capture{}
		base = kept
	}
	client, to, err := a.client(f, base)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	ctx, stop := a.untilAskedToStop(ctx)
	defer stop()
	resp, err := callAction(ctx, client, action.Name, data)
	if f.dryRun && kept.body != nil {
		if a.json {
			return a.object(struct {
				V    int             `json:"v"`
				Type string          `json:"type"`
				URL  string          `json:"url"`
				Body json.RawMessage `json:"body"`
			}{1, "request", to.Redacted(), kept.body})
		}
		_, err := fmt.Fprintf(a.Out, "%s\n", kept.body)
		return err
	}
	if err != nil {
		return a.callFailed(err, f)
	}
	return a.answered(ctx, client, action, resp, f)
}

// answered prints an answer.
func (a *app) answered(ctx context.Context, client *ottpay.Client, action api.ActionInfo, resp any, f *callFlags) error {
	data, err := json.Marshal(resp)
	if err != nil {
		return err
	}
	order := ""
	if o, ok := resp.(answerOf); ok {
		order = o.Order()
	}
	pending := false
	if p, ok := resp.(interface{ Pending() bool }); ok {
		pending = p.Pending()
	}
	if a.json {
		if err := a.object(struct {
			V       int             `json:"v"`
			Type    string          `json:"type"`
			Action  api.Action      `json:"action"`
			Order   string          `json:"order,omitempty"`
			Pending bool            `json:"pending"`
			Data    json.RawMessage `json:"data"`
		}{1, "answer", action.Name, order, pending, data}); err != nil {
			return err
		}
	} else if err := a.members(data); err != nil {
		return err
	}
	if f.qr {
		if err := a.drawCode(data); err != nil {
			return err
		}
	}
	if pending && f.wait == "" {
		return (&Failure{Code: CodePending, Kind: KindPending, Message: fmt.Sprintf("pending: the gateway has accepted order %s and not decided", orDash(cleanWord(order)))}).
			then("ottpay call %s order_id=%s", api.ActionSTATUS_QUERY, cleanWord(order))
	}
	if f.wait != "" {
		return a.awaitPaid(ctx, client, action, order, f)
	}
	return nil
}

// then adds the command to run next.
func (f *Failure) then(format string, args ...any) *Failure {
	f.Next = fmt.Sprintf(format, args...)
	return f
}

// members prints an object as a table.
func (a *app) members(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return err
	}
	var b strings.Builder
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return err
		}
		text := string(v)
		var s string
		if json.Unmarshal(v, &s) == nil && len(v) > 0 && v[0] == '"' {
			text = s
		}
		fmt.Fprintf(&b, "%-18s %s\n", cleanWord(fmt.Sprint(name)), cleanText([]byte(text)))
	}
	_, err := io.WriteString(a.Out, b.String())
	return err
}

// awaitPaid waits until the order is settled.
func (a *app) awaitPaid(ctx context.Context, client *ottpay.Client, action api.ActionInfo, order string, f *callFlags) error {
	cfg := ottpay.AwaitConfig{}
	switch action.Effect {
	case api.EffectCreateCheckout:
		cfg.Query = api.ActionPREPAY_QUERY
	case api.EffectAuthorise:
		cfg.Query = api.ActionCC_QUERYPAY
	}
	a.talk("waiting until order %s is paid", cleanWord(order))
	patience := max(f.timeout, 10*time.Minute)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := client.AwaitPayment(ctx, order, cfg)
	if err != nil {
		return (&Failure{Code: CodePending, Kind: KindPending, Message: fmt.Sprintf("pending: order %s is not settled (%s)", cleanWord(order), orDash(cleanWord(string(p.Status))))}).
			then("ottpay call %s order_id=%s", api.ActionSTATUS_QUERY, cleanWord(order))
	}
	if a.json {
		line := map[string]any{"v": 1, "type": "payment", "order": p.OrderID, "status": string(p.Status), "paid": p.Paid()}
		if p.Amount != nil {
			line["amount_cents"] = int64(*p.Amount)
		}
		if err := a.object(line); err != nil {
			return err
		}
	} else if p.Paid() {
		fmt.Fprintf(a.Out, "%-18s %s\n", "order_status", cleanWord(string(p.Status)))
	}
	if !p.Paid() {
		return &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("order %s was not paid: it is %s", cleanWord(order), cleanWord(string(p.Status)))}
	}
	return nil
}

// callFailed turns an error of the client into words and an exit code.
func (a *app) callFailed(err error, f *callFlags) error {
	var usage *Failure
	if errors.As(err, &usage) {
		return usage
	}
	var e *ottpay.Error
	if !errors.As(err, &e) {
		return err
	}
	order := cleanWord(e.OrderID)
	info, _ := api.LookupAction(string(e.Action))
	query := info.Kind == api.KindQuery
	switch {
	case errors.Is(err, ottpay.ErrNotSent):
		return notSent(e, a, f)
	case errors.Is(err, ottpay.ErrUnknownOutcome) && !query:
		out := &Failure{Code: CodeUnknown, Kind: KindUnknownOutcome, Message: fmt.Sprintf("outcome unknown: the gateway may have taken order %s (%s)", order, orDash(reasonOf(e)))}
		return out.then("ottpay call %s order_id=%s      (do not send %s again)", api.ActionSTATUS_QUERY, order, e.Action)
	case errors.Is(err, ottpay.ErrPending):
		return (&Failure{Code: CodePending, Kind: KindPending, Message: fmt.Sprintf("pending: the gateway is still working on order %s", order)}).
			then("ottpay call %s order_id=%s", api.ActionSTATUS_QUERY, order)
	case e.Code != "":
		text := fmt.Sprintf("the gateway refuses %s: %s", e.Action, cleanWord(string(e.Code)))
		if e.Message != "" {
			text += " (" + cleanLine(e.Message) + ")"
		}
		out := &Failure{Code: CodeNo, Kind: KindRefused, Message: text}
		if errors.Is(err, ottpay.ErrDuplicate) {
			out.Next = fmt.Sprintf("ottpay call %s order_id=%s", api.ActionSTATUS_QUERY, order)
		}
		return out
	}
	// A query that got no answer, or none to be believed: it may be put again.
	return &Failure{Code: CodeUnknown, Kind: KindUnknownOutcome, Message: fmt.Sprintf("%s got no answer that can be believed (%s)", e.Action, orDash(reasonOf(e)))}
}

func reasonOf(e *ottpay.Error) string {
	if e.Reason != "" {
		return string(e.Reason)
	}
	return string(e.Code)
}

// notSent says why a request was not sent.
func notSent(e *ottpay.Error, a *app, f *callFlags) *Failure {
	var broken *validate.Error
	switch {
	case errors.As(e.Err, &broken) || errors.As(error(e), &broken):
		var words []string
		for _, v := range broken.Violations {
			words = append(words, fmt.Sprintf("%s: %s", v.Member, v.Rule))
		}
		out := usagef("%s breaks the document's rules: %s", e.Action, cleanLine(strings.Join(words, ", ")))
		if !f.fill {
			out.Hint = "--fill takes the document's examples for what is missing"
		}
		return out
	case errors.Is(e, ottpaytest.ErrBlocked):
		return (&Failure{Code: CodeNo, Kind: KindRefused, Message: "the request was not sent: plain http goes to this machine and its network only"}).hint("use https")
	}
	to, err := a.target(f)
	if err != nil {
		return configf("%s was not sent: %s", e.Action, orDash(reasonOf(e)))
	}
	out := &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("%s was not sent: no connection to %s (%s)", e.Action, hostPort(to), orDash(reasonOf(e)))}
	if !vendorHost(to.String()) {
		out.Hint = "is it running? ottpay sandbox"
	}
	return out
}

// drawCode draws the code_url, or the link, of an answer.
func (a *app) drawCode(data []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	text := ""
	for _, name := range []string{"code_url", "codeUrl", "payinfo", "payInfo"} {
		var s string
		if json.Unmarshal(object[name], &s) == nil && s != "" && !strings.HasPrefix(s, "{") {
			text = s
			break
		}
	}
	if text == "" {
		a.talk("the answer holds no code and no link to draw")
		return nil
	}
	w := a.Out
	if a.json {
		w = a.Err
	}
	drawing, tooLong := drawQR(text, a.colored(w))
	if tooLong != nil {
		a.talk("the code cannot be drawn: it is too long")
		return nil
	}
	_, err := io.WriteString(w, drawing)
	return err
}

// drawQR draws a QR code with half blocks: light ones, for a dark terminal. With
// colours it is dark on light whatever the terminal's own are.
func drawQR(text string, colored bool) (string, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return "", err
	}
	const quiet = 2
	size := code.Bounds().Dx()
	dark := func(x, y int) bool {
		x, y = x-quiet, y-quiet
		if x < 0 || y < 0 || x >= size || y >= size {
			return false
		}
		r, _, _, _ := code.At(x, y).RGBA()
		return r == 0
	}
	var b strings.Builder
	for y := 0; y < size+2*quiet; y += 2 {
		if colored {
			b.WriteString("\x1b[97;40m")
		}
		for x := range size + 2*quiet {
			switch top, bottom := dark(x, y), dark(x, y+1); {
			case top && bottom:
				b.WriteRune(' ')
			case top:
				b.WriteRune('▄')
			case bottom:
				b.WriteRune('▀')
			default:
				b.WriteRune('█')
			}
		}
		if colored {
			b.WriteString("\x1b[0m")
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}
