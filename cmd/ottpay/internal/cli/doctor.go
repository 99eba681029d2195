package cli

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// doctorFlags are the flags of the command doctor.
type doctorFlags struct {
	keys     keyFlags
	callback string
	forward  string
	live     bool
	allow    []string
}

func newDoctor(a *app) *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "checks keys, addresses and the callback",
		Long: `doctor checks what a shop's integration rests on, a line for each check, with
what to do where one fails. With --callback it posts a forgery to the shop and
expects that it is refused. Only --live touches the vendor's host, with a query
of an exchange rate.`,
		Example: `  ottpay doctor
  ottpay doctor --callback http://127.0.0.1:3000/ottpay`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.callback, "callback", "", "check the shop's callback `URL`")
	flags.StringVar(&f.forward, "forward-to", "", "check the `URL` that listen forwards to")
	flags.BoolVar(&f.live, "live", false, "ask the vendor's gateway for an exchange rate")
	f.keys.add(cmd)
	f.keys.addMerchant(a, cmd)
	flags.StringArrayVar(&f.allow, "allow-callback", nil, "post the forgery to `HOST` wherever it is; may be repeated")
	return cmd
}

// grade is how a check ended.
type grade string

const (
	good grade = "ok"
	warn grade = "warn"
	fail grade = "FAIL"
)

// check is one line of doctor.
type check struct {
	Name   string `json:"name"`
	Result grade  `json:"result"`
	Text   string `json:"text"`
	Fix    string `json:"fix,omitempty"`
}

// examination collects checks.
type examination struct {
	a      *app
	checks []check
}

func (x *examination) add(name string, result grade, text, fix string) {
	c := check{name, result, text, fix}
	x.checks = append(x.checks, c)
	if x.a.json {
		return
	}
	style := map[grade]style{good: green, warn: yellow, fail: red}[result]
	fmt.Fprintf(x.a.Out, "%s%s %-12s %s\n", x.a.paint(x.a.Out, style, string(result)), strings.Repeat(" ", 5-len(result)), name, text)
	if fix != "" {
		fmt.Fprintf(x.a.Out, "%18s fix: %s\n", "", fix)
	}
}

func (a *app) doctor(ctx context.Context, f *doctorFlags) error {
	x := &examination{a: a}
	x.cryptography()
	ring := x.keys(f)
	if ring != nil {
		x.merchant(ring, f)
	}
	x.address(f)
	x.sandbox(ctx, f)
	if f.forward != "" {
		x.forward(ctx, f.forward)
	}
	if f.callback != "" && ring != nil {
		x.callback(ctx, ring, f)
	}
	if f.live && ring != nil {
		x.live(ctx, f)
	}
	failed := 0
	for _, c := range x.checks {
		if c.Result == fail {
			failed++
		}
	}
	if a.json {
		if err := a.object(struct {
			V      int     `json:"v"`
			Type   string  `json:"type"`
			OK     bool    `json:"ok"`
			Checks []check `json:"checks"`
		}{1, "doctor", failed == 0, x.checks}); err != nil {
			return err
		}
	}
	if failed > 0 {
		return &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("%d of %d checks failed", failed, len(x.checks)), Shown: a.json}
	}
	return nil
}

// cryptography opens and seals the vendor's published example.
func (x *examination) cryptography() {
	if fips140.Enabled() {
		x.add("fips", warn, "FIPS 140 mode is on; with GODEBUG=fips140=only, MD5 does not work, and the protocol needs it", "run with GODEBUG=fips140=off")
	}
	const plaintext = `{"orderId":"1234567890","idCardName":"张三","idCardNum":"123456789012345678","bankCardNum":"62000000000010","mobile":"13711111111","idCardType":"1"}`
	const digest = "C12F9560769C2CB55E6954935B325916"
	key, err := envelope.NewKey(demoKey)
	if err == nil {
		var s envelope.Sealed
		if s, err = key.Seal([]byte(plaintext)); err == nil && s.MD5 != digest {
			err = errors.New("another digest")
		}
		if err == nil {
			var p envelope.Payload
			if p, err = key.Open(s); err == nil && string(p.JSON) != plaintext {
				err = errors.New("another plaintext")
			}
		}
	}
	if err != nil {
		x.add("cipher", fail, "the vendor's published example does not seal and open: "+err.Error(), "report it: this build is broken")
		return
	}
	x.add("cipher", good, "the vendor's published example seals and opens", "")
}

func (x *examination) keys(f *doctorFlags) *keyring {
	ring, err := x.a.keyring(&f.keys)
	if err != nil {
		var failure *Failure
		fix := ""
		if errors.As(err, &failure) {
			fix = failure.Hint
		}
		x.add("keys", fail, err.Error(), fix)
		return nil
	}
	if ring.demo {
		x.add("keys", warn, "none is configured: the demo merchant "+demoMerchant+" and the vendor's published key are used", "put \"MERCHANT KEY\" into a file and name it with --keys, or set "+envKey)
		return ring
	}
	var froms []string
	for _, k := range ring.keys {
		froms = append(froms, k.from)
	}
	x.add("keys", good, fmt.Sprintf("%d: %s", len(ring.keys), strings.Join(froms, ", ")), "")
	if file := x.a.fallback(f.keys.file, envKeysFile, ""); file != "" {
		if info, err := os.Stat(file); err == nil && othersRead(info.Mode().Perm()) {
			x.add("key file", warn, fmt.Sprintf("%s may be read by others (mode %04o)", file, info.Mode().Perm()), "chmod 600 "+file)
		} else if err == nil {
			x.add("key file", good, file+" is yours alone", "")
		}
	}
	for _, k := range ring.keys {
		if n := len(k.text()); n < 16 {
			x.add("key", warn, fmt.Sprintf("the key from %s has %d characters: so short a key can be searched", k.from, n), "ask OTT Pay for one of 16 hexadecimal digits")
		}
	}
	return ring
}

var (
	merchantForm = regexp.MustCompile(`^[A-Z]{2,4}[0-9]{6,10}$`)
	operatorForm = regexp.MustCompile(`^[0-9]{10}$`)
)

func (x *examination) merchant(ring *keyring, f *doctorFlags) {
	merchant, _, err := x.a.sealingKey(ring, &f.keys)
	if err != nil {
		x.add("merchant", fail, err.Error(), "set "+envMerchant)
		return
	}
	if merchantForm.MatchString(merchant) {
		x.add("merchant", good, merchant, "")
	} else {
		x.add("merchant", warn, cleanWord(merchant)+" does not look like a merchant id: letters and digits, as TS00000001", "compare it with what OTT Pay gave you")
	}
	operator := x.a.getenv(envOperator)
	switch {
	case operator == "" && ring.demo:
	case operator == "":
		x.add("operator", warn, "none is set; most actions name one", "set "+envOperator)
	case operatorForm.MatchString(operator):
		x.add("operator", good, operator, "")
	default:
		x.add("operator", warn, cleanWord(operator)+" does not look like an operator id: ten digits, as 0000000001", "compare it with what OTT Pay gave you")
	}
	base := x.a.fallback("", envBaseURL, "")
	if base != "" && vendorHost(base) {
		for _, k := range ring.of(merchant) {
			if k.text() == demoKey {
				x.add("key", fail, "the key of "+merchant+" is the vendor's published example, and the gateway is the vendor's", "put your own key into a file and name it with --keys")
			}
		}
	}
}

func (x *examination) address(*doctorFlags) {
	base := x.a.getenv(envBaseURL)
	if base == "" {
		x.add("gateway", good, envBaseURL+" is not set: the sandbox is called", "")
		return
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		x.add("gateway", fail, envBaseURL+" is no URL", "such as "+ottpay.DefaultURL)
	case u.Scheme == "http" && vendorHost(base):
		x.add("gateway", fail, "plain http to the vendor's gateway: everybody on the way reads and changes it", "https://"+u.Host+u.Path)
	case u.Scheme == "http" && !loopbackName(u.Hostname()) && !privateName(u.Hostname()):
		x.add("gateway", fail, "plain http to "+u.Hostname()+", which is not this machine", "use https")
	default:
		x.add("gateway", good, u.Redacted(), "")
	}
}

// privateName reports whether a host is a private address, or a name without a
// dot as containers have.
func privateName(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsLoopback()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".internal") || strings.HasSuffix(host, ".localhost")
}

func (x *examination) sandbox(ctx context.Context, _ *doctorFlags) {
	base := x.a.sandboxURL()
	info, ok := x.a.sandboxInfo(ctx, base, time.Second)
	if !ok {
		x.add("sandbox", warn, "none answers at "+cleanLine(base), "ottpay sandbox, or set "+envSandbox)
		return
	}
	if info.Version != version() {
		x.add("sandbox", warn, fmt.Sprintf("%s is version %s, this is %s", base, cleanWord(info.Version), version()), "run the same version")
	} else {
		x.add("sandbox", good, fmt.Sprintf("%s, the same version", base), "")
	}
	x.clock(info.Now, "the sandbox's")
}

// clock compares this machine's clock with another.
func (x *examination) clock(other time.Time, whose string) {
	if other.IsZero() {
		return
	}
	off := time.Since(other)
	if off.Abs() > 5*time.Minute {
		x.add("clock", warn, fmt.Sprintf("this machine's clock is %s off %s", off.Abs().Round(time.Second), whose), "set the clock; a sandbox with --clock manual has one of its own")
		return
	}
	x.add("clock", good, "agrees with "+whose, "")
}

func (x *examination) forward(ctx context.Context, text string) {
	u, err := parseHTTP(text, "--forward-to")
	if err != nil {
		x.add("forward-to", fail, err.Error(), "")
		return
	}
	d := net.Dialer{Timeout: 2 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		x.add("forward-to", fail, "nothing listens on "+hostPort(u), "start the shop")
		return
	}
	conn.Close()
	x.add("forward-to", good, hostPort(u)+" listens", "")
}

// callback posts a forgery and a GET to the shop.
func (x *examination) callback(ctx context.Context, ring *keyring, f *doctorFlags) {
	u, err := url.Parse(f.callback)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		x.add("callback", fail, "the callback URL must be absolute, with http or https", "such as https://shop.example/ottpay")
		return
	}
	if u.Scheme == "http" && !loopbackName(u.Hostname()) && !privateName(u.Hostname()) {
		x.add("callback", warn, "plain http: every host on the way reads the callbacks and can drop them", "use https")
	}
	if len(f.callback) > 255 {
		x.add("callback", warn, fmt.Sprintf("%d characters; the vendor's pages take 255", len(f.callback)), "use a shorter one")
	}
	p, err := x.a.poster(&postFlags{to: f.callback, allow: f.allow, timeout: 10 * time.Second})
	if err != nil {
		x.add("callback", fail, err.Error(), "")
		return
	}
	merchant := demoMerchant
	if ids := ring.merchants(); len(ids) > 0 {
		merchant = ids[0]
	}
	// A forgery: sealed with a key that is the merchant's own in no letter.
	forged := ottpaytest.Notification{MerchantID: merchant, SignKey: "doctor-forges-this", OrderID: "DOCTOR" + newOrderID()[:10], URL: f.callback}
	body, err := forged.Body()
	if err != nil {
		x.add("callback", fail, err.Error(), "")
		return
	}
	post, _ := http.NewRequestWithContext(ctx, http.MethodPost, f.callback, bytes.NewReader(body))
	post.Header.Set("Content-Type", "application/json")
	got := p.send(ctx, post)
	switch {
	case got.refuse != nil && got.why == "blocked":
		x.add("callback", warn, u.Hostname()+" is not on this machine or network: no forgery was posted", "--allow-callback "+u.Hostname()+" if you mean it")
		return
	case got.refuse != nil:
		x.add("callback", fail, got.refuse.Message, "start the shop")
		return
	case got.status == 0:
		x.add("callback", fail, "no answer to a forgery: "+got.why, "answer with a status that is not 200")
		return
	case got.acknowledged():
		x.add("callback", fail, "a forgery is acknowledged with 200: anybody can tell this shop that an order is paid", "verify the digest before anything else; ottpay explain shows how")
	case got.status/100 == 3:
		x.add("callback", fail, fmt.Sprintf("a POST is redirected (%d): the gateway does not follow", got.status), "give the gateway the final address")
	default:
		x.add("callback", good, fmt.Sprintf("a forgery is refused with %d", got.status), "")
	}
	get, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.callback, nil)
	got = p.send(ctx, get)
	switch {
	case got.status == 0:
		x.add("callback", warn, "no answer to a GET: "+got.why, "")
	case got.acknowledged():
		x.add("callback", warn, "a GET is answered with 200: a callback that a redirect turned into a GET would count as taken", "answer 405 to everything but POST")
	default:
		x.add("callback", good, fmt.Sprintf("a GET is answered with %d", got.status), "")
	}
}

// live asks the vendor's gateway for a rate.
func (x *examination) live(ctx context.Context, f *doctorFlags) {
	c := &callFlags{keys: f.keys, live: true, timeout: 30 * time.Second}
	client, to, err := x.a.client(c, nil)
	if err != nil {
		x.add("vendor", fail, err.Error(), "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if _, err := client.ExchangeRateQuery(ctx, &api.ExchangeRateQueryRequest{FeeType: "CAD"}); err != nil {
		x.add("vendor", fail, fmt.Sprintf("%s: %s", to.Hostname(), cleanLine(x.a.callFailed(err, c).Error())), "compare merchant and key with what OTT Pay gave you")
		return
	}
	x.add("vendor", good, to.Hostname()+" answers "+string(api.ActionEX_RATE_QUERY)+", and the answer is authentic", "")
}
