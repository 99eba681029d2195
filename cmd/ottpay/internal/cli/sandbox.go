package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

const defaultAddr = "127.0.0.1:6698"

// sandboxFlags are the flags of the command sandbox.
type sandboxFlags struct {
	keys          keyFlags
	addr          string
	merchants     []string
	currency      string
	fee           int64
	redelivery    string
	callbackTo    string
	allowCallback []string
	faults        []string
	quirks        string
	lenient       bool
	state         string
	seed          uint64
	clock         string
	allowHosts    []string
	allowOrigins  []string
	label         string
	lan           bool
	noToken       bool
	noPage        bool
	open          bool
	printEnv      bool
	exitAfter     time.Duration
}

func newSandbox(a *app) *cobra.Command {
	f := &sandboxFlags{}
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "runs the gateway, its API and its page on one port",
		Long: `sandbox runs OTT Pay's gateway on this machine, with a web page and an API for
tests in any language (docs/sandbox-api.md). Without keys it serves a demo
merchant with the key that the vendor publishes. Orders are kept in memory, or
with --state in a file.

Callbacks go to this machine and its private network only: one that is sealed
with a real key and reaches a real shop is a payment there. --callback-to sends
all of them to your shop, whatever address they name, so that a production
configuration is tested unchanged.

The page and the API take requests for this machine's names alone, and from no
other web site. With --lan, or an address that others reach, they want a token.`,
		Example: `  ottpay sandbox
  ottpay sandbox --callback-to http://127.0.0.1:3000
  ottpay sandbox --addr 127.0.0.1:0 --json        for tests: reads "ready" first
  ottpay sandbox --fault answer:drop,action=H5PAY --redelivery none`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.sandbox(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.addr, "addr", "", "listen on `HOST:PORT`; port 0 picks one (default "+defaultAddr+", or OTTPAY_ADDR)")
	flags.StringVar(&f.callbackTo, "callback-to", "", "send all callbacks to this `URL`'s host")
	flags.StringArrayVar(&f.faults, "fault", nil, "arm a fault, `NAME[,key=value...]`; may be repeated (ottpay faults)")
	flags.StringVar(&f.redelivery, "redelivery", "", "the `pauses` between the tries of a callback, or none (default 1s,2s,4s,8s)")
	flags.BoolVar(&f.open, "open", false, "open the page in the browser")
	f.keys.add(cmd)
	flags.StringArrayVar(&f.merchants, "merchant", nil, "serve merchant `ID`, which must have a key; may be repeated (default all with a key)")
	flags.StringVar(&f.currency, "currency", "", "take orders of one `currency` only, such as CAD")
	flags.Int64Var(&f.fee, "fee", 0, "add a convenience fee of so many `CENTS` to each order")
	flags.StringArrayVar(&f.allowCallback, "allow-callback", nil, "let callbacks go to `HOST` wherever it is; may be repeated")
	flags.StringVar(&f.quirks, "quirks", "all", "the vendor's `peculiarities`: all, none, or some of numbers,escapes,blanks,bare-failures")
	flags.BoolVar(&f.lenient, "lenient", false, "take what integrations send and the document refuses, and say so")
	flags.StringVar(&f.state, "state", "", "keep the orders in `FILE`, which is made if need be")
	flags.Uint64Var(&f.seed, "seed", 0, "make ids and orders of members the same in each run; 0 does not")
	flags.StringVar(&f.clock, "clock", "real", "a `clock`: real, or manual[@TIME], one that the page and the API set forward")
	flags.StringVar(&f.label, "label", "", "a `name` for the page, to tell several sandboxes apart")
	flags.StringArrayVar(&f.allowHosts, "allow-host", nil, "be reachable under `NAME`; may be repeated")
	flags.StringArrayVar(&f.allowOrigins, "allow-origin", nil, "let pages of this `URL` use the API; may be repeated")
	flags.BoolVar(&f.lan, "lan", false, "listen on all addresses of this machine; page and API want a token")
	flags.BoolVar(&f.noToken, "no-token", false, "want no token: what stands in front is trusted")
	flags.BoolVar(&f.noPage, "no-page", false, "serve the gateway and the API alone")
	flags.BoolVar(&f.printEnv, "print-env", false, "print the variables for a shop, and end")
	flags.DurationVar(&f.exitAfter, "exit-after", 0, "end after this `time`; 0 is never")
	_ = cmd.MarkFlagFilename("state")
	_ = cmd.RegisterFlagCompletionFunc("fault", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completeFaults(""), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
	for name, values := range map[string][]string{
		"quirks": {"all", "none", "numbers", "escapes", "blanks", "bare-failures"}, "clock": {"real", "manual"},
		"redelivery": {"none", "1s,2s,4s,8s"}, "currency": {"CAD", "USD", "CNY"},
	} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

// sandbox runs until it is asked to stop.
func (a *app) sandbox(ctx context.Context, f *sandboxFlags) error {
	ring, err := a.keyring(&f.keys)
	if err != nil {
		return err
	}
	addr := a.fallback(f.addr, envAddr, defaultAddr)
	if f.lan && f.addr == "" && a.getenv(envAddr) == "" {
		addr = ":6698"
	}
	host, port, err := net.SplitHostPort(addr)
	if _, bad := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil || bad != nil {
		return usagef("--addr is HOST:PORT, such as %s", defaultAddr)
	}
	cfg, err := a.gatewayConfig(ring, f)
	if err != nil {
		return err
	}
	if f.printEnv {
		base := "http://" + addr
		if host == "" || host == "0.0.0.0" || host == "::" {
			base = "http://127.0.0.1" + strings.TrimPrefix(addr, host)
		}
		return a.printEnv(ring, cfg.MerchantID, base+"/processV2")
	}
	g, err := ottpaytest.New(cfg)
	switch {
	case errors.Is(err, ottpaytest.ErrStateInUse):
		return &Failure{Code: CodeMachine, Kind: KindIO, Message: fmt.Sprintf("state file %s is written by another sandbox%s", f.state, writer(f.state))}
	case errors.Is(err, ottpaytest.ErrRecord):
		return configf("%s is no state file of a sandbox, or one of a newer sandbox", f.state)
	case err != nil && f.state != "":
		return &Failure{Code: CodeMachine, Kind: KindIO, Message: fmt.Sprintf("cannot use the state file %s: %s", f.state, cause(err))}
	case err != nil:
		return configf("%s", strings.TrimPrefix(err.Error(), "ottpaytest: "))
	}
	defer g.Close()
	listeners, err := sandbox.Listen(ctx, addr)
	if err != nil {
		return a.cannotListen(ctx, addr, err)
	}
	for i, l := range listeners {
		listeners[i] = g.Listener(l)     // for the fault refuse
		defer func() { _ = l.Close() }() // if nothing is served in the end
	}
	for _, spec := range f.faults {
		fault, err := parseFault(spec, "")
		if err != nil {
			return err
		}
		fault.By = "flag"
		if _, err := g.Arm(fault); err != nil {
			return configf("%s", strings.TrimPrefix(err.Error(), "ottpaytest: "))
		}
	}
	served := sandbox.Config{
		Version: version(), Label: f.label, AllowHosts: f.allowHosts, AllowOrigins: f.allowOrigins,
		CallbackTo: f.callbackTo, AllowCallback: f.allowCallback, NoPage: f.noPage,
	}
	for _, k := range ring.keys {
		served.Keys = append(served.Keys, sandbox.SignKey{Merchant: k.merchant, From: k.from, Text: k.text})
	}
	if cfg.SignKey == demoKey {
		served.PublishedKey = demoKey
	}
	if served.Token, err = a.token(f, host); err != nil {
		return err
	}
	handler, err := sandbox.Handler(g, served)
	if err != nil {
		return usagef("%s", strings.TrimPrefix(err.Error(), "sandbox: "))
	}
	ctx, stop := a.untilAskedToStop(ctx)
	defer stop()
	if f.exitAfter > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.exitAfter)
		defer cancel()
	}
	// A sandbox runs all day beside the shop: there its size matters more than
	// its speed.
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	server := sandbox.Serve(handler, listeners...)
	base := baseURL(host, listeners[0])
	if err := a.ready(g, ring, f, served, base, cfg.MerchantID); err != nil {
		return err
	}
	g.Ready()
	if f.open && !f.noPage {
		openBrowser(pageURL(base, served.Token))
	}
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		a.follow(ctx, g)
	}()
	go rest(ctx, g)
	select {
	case err := <-server.Ended():
		return &Failure{Code: CodeMachine, Kind: KindIO, Message: "the sandbox stopped: " + cause(err)}
	case <-ctx.Done():
	}
	a.talk("stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = g.Wait(grace) // deliveries under way
	_ = server.Shutdown(grace)
	<-followed
	g.Close()
	if err := g.StateError(); err != nil {
		return &Failure{Code: CodeMachine, Kind: KindIO, Message: fmt.Sprintf("the state file %s is not complete: %s", f.state, cause(err))}
	}
	return nil
}

// rest gives memory back to the system whenever a second passes without an event
// after many of them. The runtime does so, too, and takes minutes.
func rest(ctx context.Context, g *ottpaytest.Gateway) {
	const many = 500
	given := g.Seq()
	quiet := time.NewTimer(time.Second)
	defer quiet.Stop()
	for {
		select {
		case <-g.Changed():
			quiet.Reset(time.Second)
		case <-quiet.C:
			if seq := g.Seq(); seq < given || seq-given >= many {
				given = seq
				debug.FreeOSMemory()
			}
		case <-ctx.Done():
			return
		}
	}
}

// gatewayConfig is the gateway that the flags describe.
func (a *app) gatewayConfig(ring *keyring, f *sandboxFlags) (ottpaytest.Config, error) {
	cfg := ottpaytest.Config{
		Merchants: make(map[string][]string), Currency: f.currency, ConvenienceFee: field.Cents(f.fee),
		Lenient: f.lenient, Seed: f.seed, Clock: ottpaytest.NewClock(), StateFile: f.state,
	}
	merchants := f.merchants
	if len(merchants) == 0 {
		merchants = ring.merchants()
	}
	if len(merchants) == 0 {
		return cfg, configf("the sandbox needs the merchant of its key").hint("--merchant ID, or set %s", envMerchant)
	}
	for _, id := range merchants {
		keys := ring.of(id)
		if len(keys) == 0 {
			return cfg, noKey(cleanWord(id))
		}
		for _, k := range keys {
			if cfg.MerchantID == "" {
				cfg.MerchantID, cfg.SignKey = id, k.text()
				continue
			}
			cfg.Merchants[id] = append(cfg.Merchants[id], k.text())
		}
	}
	if f.fee < 0 {
		return cfg, usagef("--fee is a number of cents, and not negative")
	}
	var err error
	if cfg.Redelivery, err = parseRedelivery(f.redelivery); err != nil {
		return cfg, err
	}
	if cfg.Without, err = parseQuirks(f.quirks); err != nil {
		return cfg, err
	}
	switch kind, at, _ := strings.Cut(f.clock, "@"); {
	case f.clock == "real":
	case kind == "manual" && at == "":
		cfg.Clock = ottpaytest.NewManualClock(time.Now())
	case kind == "manual":
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return cfg, usagef("--clock manual@TIME wants a time such as 2026-01-31T12:00:00Z")
		}
		cfg.Clock = ottpaytest.NewManualClock(t)
	default:
		return cfg, usagef("--clock is real, manual or manual@TIME")
	}
	callbacks := sandbox.CallbackConfig{Allow: f.allowCallback}
	if f.callbackTo != "" {
		if callbacks.To, err = parseHTTP(f.callbackTo, "--callback-to"); err != nil {
			return cfg, err
		}
	}
	cfg.Callbacks = sandbox.Callbacks(callbacks)
	if len(f.allowCallback) > 0 && !ring.demo && !publishedOnly(ring) {
		a.talk("%s callbacks may leave this machine (%s), and are sealed with a key that is not the published one: a shop there takes them for payments",
			a.paint(a.Err, yellow, "warn"), strings.Join(f.allowCallback, ", "))
	}
	return cfg, nil
}

func publishedOnly(ring *keyring) bool {
	return !slices.ContainsFunc(ring.keys, func(k signKey) bool { return k.text() != demoKey })
}

// parseHTTP reads an absolute URL of http or https.
func parseHTTP(text, flag string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usagef("%s is no address such as http://127.0.0.1:3000", flag)
	}
	return u, nil
}

func parseRedelivery(text string) ([]time.Duration, error) {
	switch text {
	case "":
		return nil, nil
	case "none":
		return []time.Duration{}, nil
	}
	var pauses []time.Duration
	for part := range strings.SplitSeq(text, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(part))
		if err != nil || d < 0 {
			return nil, usagef("--redelivery is a list of pauses such as 1s,2s,4s, or none")
		}
		pauses = append(pauses, d)
	}
	return pauses, nil
}

func parseQuirks(text string) (ottpaytest.Quirk, error) {
	switch text {
	case "all":
		return 0, nil
	case "none":
		return ottpaytest.AllQuirks, nil
	}
	without := ottpaytest.AllQuirks
	for name := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(name) {
		case "numbers":
			without &^= ottpaytest.QuirkNumbers
		case "escapes":
			without &^= ottpaytest.QuirkEscapes
		case "blanks":
			without &^= ottpaytest.QuirkBlanks
		case "bare-failures":
			without &^= ottpaytest.QuirkBareFailures
		default:
			return 0, usagef("--quirks is all, none, or some of numbers, escapes, blanks, bare-failures")
		}
	}
	return without, nil
}

// token returns what the page and the API ask for, "" for nothing.
func (a *app) token(f *sandboxFlags, host string) (string, error) {
	if f.noToken {
		return "", nil
	}
	if t := a.getenv(envToken); t != "" {
		return t, nil
	}
	ip := net.ParseIP(host)
	if !f.lan && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return "", nil
	}
	a.talk("%s others can reach this sandbox; its page and API want the token in the address below", a.paint(a.Err, yellow, "warn"))
	return rand.Text(), nil
}

func baseURL(host string, l net.Listener) string {
	addr := l.Addr().(*net.TCPAddr)
	switch ip := net.ParseIP(host); {
	case host == "localhost":
	case ip == nil && host != "":
	case ip == nil || ip.IsUnspecified():
		host = "127.0.0.1"
		if own := lanAddress(); own != "" {
			host = own
		}
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// lanAddress returns a private address of this machine, or "".
func lanAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsPrivate() {
			return n.IP.String()
		}
	}
	return ""
}

func pageURL(base, token string) string {
	if token == "" {
		return base + "/"
	}
	return base + "/?token=" + url.QueryEscape(token)
}

// ready says that the sandbox accepts connections.
func (a *app) ready(g *ottpaytest.Gateway, ring *keyring, f *sandboxFlags, cfg sandbox.Config, base, merchant string) error {
	page := ""
	if !cfg.NoPage {
		page = pageURL(base, cfg.Token)
	}
	if a.json {
		return a.object(struct {
			V         int      `json:"v"`
			Type      string   `json:"type"`
			Seq       int      `json:"seq"`
			Page      string   `json:"page,omitempty"`
			Gateway   string   `json:"gateway"`
			API       string   `json:"api"`
			Token     string   `json:"token,omitempty"`
			Merchants []string `json:"merchants"`
			PID       int      `json:"pid"`
		}{1, "ready", 0, page, base + "/processV2", base + "/-/api/v1", cfg.Token, g.Merchants(), os.Getpid()})
	}
	var b strings.Builder
	reach := "nothing leaves this machine and its network"
	if len(f.allowCallback) > 0 {
		reach = "callbacks may go to " + strings.Join(f.allowCallback, ", ")
	}
	fmt.Fprintf(&b, "%s %s   %s\n\n", a.paint(a.Out, bold, "ottpay sandbox"), version(), reach)
	row := func(name, text string) { fmt.Fprintf(&b, "  %-9s %s\n", name, text) }
	if page != "" {
		row("page", a.paint(a.Out, cyan, page))
	} else {
		row("api", base+"/-/api/v1")
	}
	row("gateway", base+"/processV2")
	if f.state != "" {
		row("state", f.state)
	} else {
		row("state", "in memory (--state FILE keeps it)")
	}
	if f.callbackTo != "" {
		row("callbacks", "all to "+f.callbackTo)
	}
	b.WriteByte('\n')
	for _, line := range envLines(ring, merchant, base+"/processV2") {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	b.WriteByte('\n')
	_, err := a.Out.Write([]byte(b.String()))
	return err
}

// envLines are what a shop's environment needs. A key is named only if the
// vendor has published it.
func envLines(ring *keyring, merchant, gateway string) []string {
	lines := []string{
		"export OTTPAY_BASE_URL=" + gateway,
		"export OTTPAY_MERCHANT_ID=" + merchant,
		"export OTTPAY_OPERATOR_ID=" + demoOperator,
	}
	keys := ring.of(merchant)
	if len(keys) > 0 && keys[0].text() == demoKey {
		return append(lines, "export OTTPAY_SIGN_KEY="+demoKey+"   # the vendor's published example, safe to show")
	}
	return append(lines, "# OTTPAY_SIGN_KEY: as you set it")
}

func (a *app) printEnv(ring *keyring, merchant, gateway string) error {
	if a.json {
		env := map[string]string{"OTTPAY_BASE_URL": gateway, "OTTPAY_MERCHANT_ID": merchant, "OTTPAY_OPERATOR_ID": demoOperator}
		if keys := ring.of(merchant); len(keys) > 0 && keys[0].text() == demoKey {
			env["OTTPAY_SIGN_KEY"] = demoKey
		}
		return a.object(struct {
			V    int               `json:"v"`
			Type string            `json:"type"`
			Env  map[string]string `json:"env"`
		}{1, "env", env})
	}
	_, err := fmt.Fprintln(a.Out, strings.Join(envLines(ring, merchant, gateway), "\n"))
	return err
}

// cannotListen says who has the address.
func (a *app) cannotListen(ctx context.Context, addr string, err error) error {
	f := &Failure{Code: CodeMachine, Kind: KindIO, Message: fmt.Sprintf("cannot listen on %s: %s", addr, cause(err))}
	if !errors.Is(err, syscall.EADDRINUSE) && !strings.Contains(err.Error(), "in use") && !strings.Contains(err.Error(), "Only one usage") {
		return f
	}
	f.Message = addr + " is taken by another program"
	f.Hint = "start this one with --addr 127.0.0.1:0"
	info, ok := a.sandboxInfo(ctx, "http://"+addr, 300*time.Millisecond)
	if !ok {
		return f
	}
	f.Message = addr + " is taken by another ottpay sandbox"
	if !info.Started.IsZero() {
		f.Message += fmt.Sprintf(" (since %s)", info.Started.Local().Format("15:04"))
	}
	f.Hint = "use that one, or start this one with --addr 127.0.0.1:0"
	return f
}

// sandboxInfo is what a running sandbox says about itself.
type sandboxInfo struct {
	Version   string
	PID       int
	Started   time.Time
	Now       time.Time
	Merchants []struct {
		MerchantID string `json:"merchant_id"`
	}
}

// sandboxInfo asks a running sandbox. It reports false if none answers.
func (a *app) sandboxInfo(ctx context.Context, base string, timeout time.Duration) (sandboxInfo, bool) {
	var info sandboxInfo
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := a.callAPI(ctx, base, http.MethodGet, "/info", &info); err != nil {
		return info, false
	}
	return info, info.PID != 0
}

// writer names the process that writes a state file, if its header says so.
func writer(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	var head struct{ PID int }
	if json.NewDecoder(f).Decode(&head) != nil || head.PID == 0 {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", head.PID)
}

func openBrowser(address string) {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	if cmd := exec.CommandContext(context.Background(), name, args...); cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}
