package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/cmd/ottpay/sandbox"
	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// triggerFlags are the flags of the command trigger.
type triggerFlags struct {
	keys        keyFlags
	post        postFlags
	kind        string
	order       string
	amount      string
	set         []string
	raw         []string
	unset       []string
	extra       bool
	fault       string
	times       int
	concurrency int
	all         bool
	expect      []int
	dryRun      bool
}

func newTrigger(a *app) *cobra.Command {
	f := &triggerFlags{}
	kinds := []string{"paid", "authorised", "captured", "checkout"}
	cmd := &cobra.Command{
		Use:   "trigger [paid|authorised|captured|checkout]",
		Short: "sends a callback to a shop, or all that can go wrong with one",
		Long: `trigger seals a callback with the merchant's first key and posts it to a shop.
With --fault something goes wrong with it; with --all everything does, one after
the other: a conformance run for a shop in any language. What is judged is
whether the shop acknowledges (status 200) and whether it answers at all.

With --all, each fault names an order of its own. A shop that checks its orders
takes none of those: name one that it knows, with --order and --amount. The
faults that must be refused then come first.

It posts to this machine and its private network only; --allow-callback opens
one host.`,
		Example: `  ottpay trigger --to http://127.0.0.1:3000/ottpay
  ottpay trigger --to http://127.0.0.1:3000/ottpay --all
  ottpay trigger --to http://127.0.0.1:3000/ottpay --order A1001 --amount 1999
  ottpay trigger --to http://127.0.0.1:3000/ottpay --fault digest --expect 401
  ottpay trigger --dry-run --set remarks=hello`,
		ValidArgs: kinds,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.kind = "paid"
			if len(args) == 1 {
				f.kind = args[0]
			}
			return a.trigger(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.post.to, "to", "", "post to the shop's callback `URL`")
	flags.BoolVar(&f.all, "all", false, "send every fault of callbacks, and judge the answers")
	flags.StringVar(&f.fault, "fault", "", "let a fault happen, `NAME[,key=value...]` (ottpay faults)")
	flags.StringVar(&f.order, "order", "", "name the order `ID` (default a new one)")
	flags.StringVar(&f.amount, "amount", "1999", "the amount in `CENTS`")
	f.keys.add(cmd)
	f.keys.addMerchant(a, cmd)
	flags.StringArrayVar(&f.set, "set", nil, "set a member to a string, `name=value`; may be repeated")
	flags.StringArrayVar(&f.raw, "raw", nil, "set a member to JSON, `name=JSON`; may be repeated")
	flags.StringArrayVar(&f.unset, "unset", nil, "leave out the member `name`; may be repeated")
	flags.BoolVar(&f.extra, "extra", false, "send members that the document does not know")
	flags.IntVar(&f.times, "times", 1, "send so many")
	flags.IntVar(&f.concurrency, "concurrency", 1, "send so many at once")
	flags.IntSliceVar(&f.expect, "expect", nil, "end with 0 only if the shop answers with one of these status `codes`")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the callback and send nothing")
	flags.DurationVar(&f.post.timeout, "timeout", 10*time.Second, "wait so long for an answer")
	flags.StringArrayVar(&f.post.allow, "allow-callback", nil, "post to `HOST` wherever it is; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("fault", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completeFaults(ottpaytest.ToShop), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("order", a.completeOrders)
	for _, name := range []string{"set", "raw", "unset"} {
		_ = cmd.RegisterFlagCompletionFunc(name, completeMembers("Notification", name != "unset"))
	}
	return cmd
}

// plan is a checked triggerFlags.
type plan struct {
	*triggerFlags
	merchant string
	keys     []signKey
	cents    field.Cents
	extra    map[string]any
	fault    ottpaytest.Fault
	poster   *poster
}

func (a *app) trigger(ctx context.Context, f *triggerFlags) error {
	p, err := a.plan(f)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.dryRun(p)
	}
	if p.poster, err = a.poster(&f.post); err != nil {
		return err
	}
	ctx, stop := a.untilAskedToStop(ctx)
	defer stop()
	switch {
	case f.all:
		return a.conformance(ctx, p)
	case f.fault != "" && f.fault != string(ottpaytest.CallbackNone):
		return a.triggerFault(ctx, p)
	}
	return a.triggerPlain(ctx, p)
}

// plan checks the flags.
func (a *app) plan(f *triggerFlags) (*plan, error) {
	p := &plan{triggerFlags: f, extra: make(map[string]any)}
	if f.all && f.fault != "" {
		return nil, usagef("--all sends every fault; --fault one of them")
	}
	cents, err := field.ParseCents(f.amount)
	if err != nil || cents <= 0 {
		return nil, usagef("--amount is a number of cents, such as 1999 for 19.99")
	}
	p.cents = cents
	if f.times < 1 || f.concurrency < 1 {
		return nil, usagef("--times and --concurrency are 1 or more")
	}
	if f.fault != "" && f.fault != string(ottpaytest.CallbackNone) {
		if p.fault, err = parseFault(f.fault, ottpaytest.ToShop); err != nil {
			return nil, err
		}
	}
	ring, err := a.keyring(&f.keys)
	if err != nil {
		return nil, err
	}
	if p.merchant, _, err = a.sealingKey(ring, &f.keys); err != nil {
		return nil, err
	}
	p.keys = ring.of(p.merchant)
	switch f.kind {
	case "authorised", "captured":
		p.extra["order_status"] = f.kind
	case "checkout":
		p.extra["prepay_order_id"] = "CHECKOUT" + rand.Text()[:8]
	}
	return p, p.members()
}

// members reads --set, --raw and --unset.
func (p *plan) members() error {
	schema, _ := api.LookupSchema("Notification")
	set := func(flag, text string, v func(string) (any, error)) error {
		name, value, ok := strings.Cut(text, "=")
		if flag != "--unset" && !ok || name == "" {
			return usagef("%s is name=value", flag)
		}
		if _, known := schema.Member(name); !known && !p.triggerFlags.extra {
			return unknownMember("a callback", name, schema)
		}
		out, err := v(value)
		if err != nil {
			return err
		}
		p.extra[name] = out
		return nil
	}
	for _, text := range p.set {
		if err := set("--set", text, func(v string) (any, error) { return v, nil }); err != nil {
			return err
		}
	}
	for _, text := range p.raw {
		if err := set("--raw", text, func(v string) (any, error) {
			if !json.Valid([]byte(v)) {
				return nil, usagef("--raw is name=JSON")
			}
			return json.RawMessage(v), nil
		}); err != nil {
			return err
		}
	}
	for _, text := range p.unset {
		if err := set("--unset", text, func(string) (any, error) { return nil, nil }); err != nil {
			return err
		}
	}
	return nil
}

// unknownMember names the member that may be meant.
func unknownMember(of, name string, schema *api.Schema) *Failure {
	var names []string
	for _, m := range schema.Members {
		names = append(append(names, m.Name), m.Aliases...)
	}
	f := usagef("%s has no member %q", of, cleanWord(name))
	if near := nearest(name, names); near != "" {
		f.Message += "; did you mean " + near + "?"
	}
	f.Message += "  (--extra sends it all the same)"
	return f
}

func newOrderID() string { return "T" + rand.Text()[:15] }

// notification is the callback that the flags describe.
func (p *plan) notification(order string) ottpaytest.Notification {
	n := ottpaytest.Notification{
		MerchantID: p.merchant, SignKey: p.keys[0].text(), OrderID: order, ChannelID: "WX" + strconv.FormatInt(time.Now().UnixNano(), 10)[:15],
		Amount: p.cents, FinishTime: time.Now(), Extra: p.extra, Fault: p.fault.Callback, URL: p.post.to,
	}
	if len(p.keys) > 1 {
		n.OldKey = p.keys[len(p.keys)-1].text()
	}
	return n
}

func (a *app) dryRun(p *plan) error {
	order := p.order
	if order == "" {
		order = newOrderID()
	}
	n := p.notification(order)
	n.URL = ""
	if info, ok := lookupFault(string(n.Fault), ottpaytest.ToShop); ok && !info.Alone {
		return usagef("fault %s is about more than one callback; --dry-run shows one", n.Fault)
	}
	body, err := n.Body()
	if err != nil {
		return configf("%s", strings.TrimPrefix(err.Error(), "ottpaytest: "))
	}
	if a.json {
		return a.object(struct {
			V     int    `json:"v"`
			Type  string `json:"type"`
			Order string `json:"order"`
			Body  string `json:"body"`
		}{1, "callback", order, string(body)})
	}
	_, err = fmt.Fprintf(a.Out, "%s\n", body)
	return err
}

// shot is one callback and what came of it.
type shot struct {
	order string
	fault string
	reply reply
}

// request makes the request of a notification, or says why there is none.
func request(n ottpaytest.Notification) (*http.Request, error) {
	if _, err := n.Body(); err != nil {
		return nil, configf("%s", strings.TrimPrefix(err.Error(), "ottpaytest: "))
	}
	r := ottpaytest.NewNotification(n)
	r.RequestURI = "" // that of a server
	return r, nil
}

// triggerPlain sends honest callbacks.
func (a *app) triggerPlain(ctx context.Context, p *plan) error {
	var mu sync.Mutex
	var worst *Failure
	jobs := make(chan int)
	var group sync.WaitGroup
	for range min(p.concurrency, p.times) {
		group.Go(func() {
			for range jobs {
				order := p.order
				if order == "" {
					order = newOrderID()
				}
				r, err := request(p.notification(order))
				var s shot
				if err == nil {
					s = shot{order: order, reply: p.poster.send(ctx, r)}
				}
				mu.Lock()
				if err != nil {
					errors.As(err, &worst)
				} else {
					a.shot(s)
					worst = worse(worst, a.judgePlain(p, s))
				}
				mu.Unlock()
			}
		})
	}
	for i := range p.times {
		select {
		case jobs <- i:
		case <-ctx.Done():
		}
	}
	close(jobs)
	group.Wait()
	if worst == nil {
		return nil
	}
	return worst
}

// worse keeps the failure that matters more: an unknown outcome before a no.
func worse(a, b *Failure) *Failure {
	if a == nil || b != nil && b.Code > a.Code {
		return b
	}
	return a
}

// judgePlain says whether one honest callback went as it should.
func (a *app) judgePlain(p *plan, s shot) *Failure {
	r := s.reply
	switch {
	case r.refuse != nil:
		return r.refuse
	case r.status == 0:
		return &Failure{Code: CodeUnknown, Kind: KindUnknownOutcome, Message: fmt.Sprintf("outcome unknown: the shop may have taken order %s (%s)", cleanWord(s.order), r.why)}
	case len(p.expect) > 0 && !slices.Contains(p.expect, r.status):
		return &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("the shop answered %d; expected %s", r.status, codeList(p.expect))}
	case len(p.expect) == 0 && !r.acknowledged():
		return &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("the shop answered %d, which does not acknowledge: 200 does", r.status)}
	}
	return nil
}

func codeList(codes []int) string {
	var words []string
	for _, c := range codes {
		words = append(words, strconv.Itoa(c))
	}
	return strings.Join(words, " or ")
}

// shot prints one delivery.
func (a *app) shot(s shot) {
	r := s.reply
	if a.json {
		e := ottpaytest.Event{
			At: time.Now().UTC().Truncate(time.Millisecond), Type: ottpaytest.EventDeliveryAnswered, Order: s.order, Fault: s.fault,
			Kind: ottpaytest.Original, Status: r.status, MS: r.took.Milliseconds(), Acknowledged: r.acknowledged(),
		}
		if r.status == 0 {
			e.Type, e.Why = ottpaytest.EventDeliveryFailed, r.why
		}
		if line, err := e.MarshalJSON(); err == nil {
			fmt.Fprintf(a.Out, "%s\n", line)
		}
		return
	}
	fault := ""
	if s.fault != "" {
		fault = "  " + s.fault
	}
	word := a.paint(a.Out, green, "acknowledged")
	if !r.acknowledged() {
		word = a.paint(a.Out, yellow, "not acknowledged")
	}
	fmt.Fprintf(a.Out, "%-16s%s  -> %s   %s   %d ms\n", cleanWord(s.order), fault, r.answerWords(), word, r.took.Milliseconds())
}

// triggerFault lets one fault happen and judges the answers.
func (a *app) triggerFault(ctx context.Context, p *plan) error {
	info, _ := lookupFault(string(p.fault.Callback), ottpaytest.ToShop)
	var worst *Failure
	for range p.times {
		shots, err := a.runFault(ctx, p, info, p.fault, p.order)
		if err != nil {
			return err
		}
		if len(shots) == 0 {
			a.talk("nothing was sent: %s", info.Sentence)
		}
		for _, s := range shots {
			a.shot(s)
		}
		v := judge(info, shots, p.order != "")
		for _, s := range shots {
			switch {
			case s.reply.refuse != nil:
				return s.reply.refuse
			case len(p.expect) > 0 && !slices.Contains(p.expect, s.reply.status):
				worst = worse(worst, &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("the shop answered %d; expected %s", s.reply.status, codeList(p.expect))})
			}
		}
		if len(p.expect) == 0 && !v.ok {
			worst = worse(worst, &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("%s: %s", info.FullName(), v.why)})
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}

// runFault has a gateway of its own send the callbacks of one fault.
func (a *app) runFault(ctx context.Context, p *plan, info ottpaytest.FaultInfo, fault ottpaytest.Fault, order string) ([]shot, error) {
	if order == "" {
		order = newOrderID()
	}
	timeout := p.post.timeout
	if info.Name == string(ottpaytest.CallbackStall) {
		timeout = max(timeout, 20*time.Second) // a server may take its time to give a stalled body up
	}
	shop := *p.poster.to
	courier := sandbox.Callbacks(sandbox.CallbackConfig{To: p.poster.to, Allow: p.post.allow})
	merchants := make(map[string][]string)
	for _, k := range p.keys[1:] {
		merchants[p.merchant] = append(merchants[p.merchant], k.text())
	}
	cfg := ottpaytest.Config{
		MerchantID: p.merchant, SignKey: p.keys[0].text(), Merchants: merchants, Callbacks: courier, CallbackTimeout: timeout,
		Redelivery: []time.Duration{}, Lenient: true,
	}
	switch ottpaytest.CallbackFault(info.Name) {
	case ottpaytest.CallbackDrop, ottpaytest.CallbackLostAnswer, ottpaytest.CallbackEarly, ottpaytest.CallbackBurst:
		cfg.Redelivery = []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second}
	}
	if fault.Delay == 0 && slices.Contains(info.Parameters, "delay") {
		fault.Delay = 300 * time.Millisecond
	}
	if fault.Callback == "" {
		fault.Callback = ottpaytest.CallbackFault(info.Name)
	}
	g, err := ottpaytest.New(cfg)
	if err != nil {
		return nil, configf("%s", strings.TrimPrefix(err.Error(), "ottpaytest: "))
	}
	defer g.Close()
	fault.Order = order
	if _, err := g.Arm(fault); err != nil {
		return nil, configf("%s", strings.TrimPrefix(err.Error(), "ottpaytest: "))
	}
	// The callback's host is this machine for the request's judge; the courier
	// sends it to the shop's.
	shop.Scheme, shop.Host, shop.User = "http", "127.0.0.1", nil
	orders := []string{order}
	if ottpaytest.CallbackFault(info.Name) == ottpaytest.CallbackReorder {
		orders = append(orders, newOrderID())
	}
	m := g.Merchant(p.merchant)
	for _, id := range orders {
		data, err := json.Marshal(map[string]string{
			"order_id": id, "operator_id": demoOperator, "amount": p.cents.String(), "biz_type": "WECHATPAY", "call_back_url": shop.String(),
		})
		if err != nil {
			return nil, err
		}
		out, err := m.Submit(ctx, ottpaytest.Submission{Action: api.ActionACTIVEPAY, Data: data})
		if err != nil || out.Code != api.CodeSuccess {
			return nil, configf("the order could not be made: %s", cleanLine(strings.TrimSpace(string(out.Code)+" "+out.Text)))
		}
	}
	for _, id := range orders {
		extra := make(map[string]any, len(p.extra))
		for k, v := range p.extra {
			extra[k] = v
		}
		if err := m.Pay(id, ottpaytest.Payment{Extra: extra}); err != nil && ottpaytest.CallbackFault(info.Name) != ottpaytest.CallbackEarly {
			return nil, configf("%s", strings.TrimPrefix(err.Error(), "ottpaytest: "))
		}
	}
	wait, cancel := context.WithTimeout(ctx, 2*timeout+5*time.Second)
	defer cancel()
	_ = g.Wait(wait)
	var shots []shot
	for _, d := range g.Deliveries(order) {
		s := shot{order: order, fault: string(ottpaytest.ToShop) + ":" + info.Name, reply: reply{status: d.Status, body: []byte(d.Body), took: time.Duration(d.MS) * time.Millisecond}}
		if d.Status == 0 {
			s.reply = p.poster.failed(d.Err)
			s.reply.took = time.Duration(d.MS) * time.Millisecond
			if d.Err == nil {
				s.reply.why = orDash(d.Why())
			}
		}
		shots = append(shots, s)
	}
	return shots, nil
}
