package cli

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// demand is what a correct shop does with the callbacks of a fault.
type demand string

const (
	mustAcknowledge demand = "acknowledged"
	mustRefuse      demand = "not acknowledged"
	mayEither       demand = "either"
	mustNotAnswer   demand = "no answer"
	unsendable      demand = "nothing is sent"
)

// demandOf says what is demanded. It follows the catalogue, and is wider where
// a correct shop may answer otherwise than the kit's webhook does.
func demandOf(info ottpaytest.FaultInfo) demand {
	switch ottpaytest.CallbackFault(info.Name) {
	case ottpaytest.CallbackLost:
		return unsendable
	case ottpaytest.CallbackCut:
		return mustNotAnswer
	case ottpaytest.CallbackAuthorised, ottpaytest.CallbackUnknownStatus:
		return mayEither // a shop may acknowledge, as long as it does not ship
	case ottpaytest.CallbackOldKey, ottpaytest.CallbackNoMerchant:
		return mayEither // a matter of configuration
	}
	expect := info.Expect
	if info.Trusting != nil { // no gateway confirms what is sent from here
		expect = *info.Trusting
	}
	if expect.Handled > 0 || slices.Contains(expect.Statuses, http.StatusOK) {
		return mustAcknowledge
	}
	return mustRefuse
}

// verdict is how the answers to one fault were judged.
type verdict struct {
	ok      bool
	skipped bool
	demand  demand
	why     string
}

// judge compares the answers to a fault with what is demanded: acknowledged or
// not, and answered at all. Which status refuses is the shop's affair.
func judge(info ottpaytest.FaultInfo, shots []shot, _ bool) verdict {
	v := verdict{demand: demandOf(info)}
	acknowledged, unanswered := 0, 0
	for _, s := range shots {
		switch {
		case s.reply.acknowledged():
			acknowledged++
		case s.reply.status == 0:
			unanswered++
		}
	}
	fault := ottpaytest.CallbackFault(info.Name)
	switch {
	case v.demand == unsendable:
		v.ok, v.skipped = true, true
		v.why = "only a query finds such a payment"
	case len(shots) == 0:
		v.why = "nothing was sent"
	case v.demand == mustNotAnswer:
		v.ok = acknowledged == 0
		v.why = "the shop acknowledged a body that broke off"
	case unanswered > 0 && fault != ottpaytest.CallbackDrop && fault != ottpaytest.CallbackLostAnswer:
		v.why = "the shop did not answer: " + firstWhy(shots)
	case v.demand == mayEither:
		v.ok = true
	case v.demand == mustRefuse:
		v.ok = acknowledged == 0
		v.why = "the shop acknowledged what it must not believe"
	case acknowledged == 0:
		v.why = "the shop did not acknowledge an honest callback"
	case fault == ottpaytest.CallbackBurst, fault == ottpaytest.CallbackEarly, fault == ottpaytest.CallbackPaidTwice, fault == ottpaytest.CallbackDrop, fault == ottpaytest.CallbackLostAnswer:
		v.ok = true // some may be put off
	case acknowledged < len(shots):
		v.why = "the shop did not acknowledge each honest callback"
	default:
		v.ok = true
	}
	if v.ok && !v.skipped {
		v.why = ""
	}
	return v
}

func firstWhy(shots []shot) string {
	for _, s := range shots {
		if s.reply.status == 0 {
			return s.reply.why
		}
	}
	return ""
}

// conformance sends every fault and prints a table.
func (a *app) conformance(ctx context.Context, p *plan) error {
	faults := []ottpaytest.FaultInfo{}
	for _, info := range ottpaytest.Faults() {
		if info.Direction == ottpaytest.ToShop {
			faults = append(faults, info)
		}
	}
	// An honest callback comes first, or with an order that the shop knows, in
	// the middle: what must be refused comes before the order is paid.
	honest := ottpaytest.FaultInfo{Name: string(ottpaytest.CallbackNone), Direction: ottpaytest.ToShop, Sentence: "an honest callback", Correct: "takes it",
		Expect: ottpaytest.Expectation{Statuses: []int{http.StatusOK}, Handled: 1}}
	if p.order != "" {
		sort.SliceStable(faults, func(i, j int) bool { return place(faults[i]) < place(faults[j]) })
		i := slices.IndexFunc(faults, func(f ottpaytest.FaultInfo) bool { return place(f) > 0 })
		faults = slices.Insert(faults, max(i, 0), honest)
	} else {
		faults = slices.Insert(faults, 0, honest)
	}
	if !a.json {
		fmt.Fprintf(a.Out, "%-17s %-22s %-17s\n", "fault", "answer", "demanded")
	}
	good, bad, skipped := 0, 0, 0
	var first string
	for _, info := range faults {
		if ctx.Err() != nil {
			break
		}
		v, shots, err := a.conform(ctx, p, info)
		if err != nil {
			return err
		}
		for _, s := range shots {
			if s.reply.refuse != nil {
				return s.reply.refuse
			}
		}
		switch {
		case v.skipped:
			skipped++
		case v.ok:
			good++
		default:
			bad++
			if first == "" {
				first = info.Name
			}
		}
		a.conformed(info, v, shots)
		if info.Name == string(ottpaytest.CallbackNone) && !v.ok && !a.json {
			fmt.Fprintf(a.Out, "%17s %s\n", "", "hint: if the shop takes no order that it does not know, name one with --order ID --amount CENTS")
		}
	}
	if a.json {
		if err := a.object(struct {
			V       int    `json:"v"`
			Type    string `json:"type"`
			OK      bool   `json:"ok"`
			Passed  int    `json:"passed"`
			Failed  int    `json:"failed"`
			NotSent int    `json:"not_sent"`
		}{1, "conformance.summary", bad == 0, good, bad, skipped}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.Out, "\n%d as demanded, %d not, %d skipped\n", good, bad, skipped)
	}
	if bad > 0 {
		return &Failure{Code: CodeNo, Kind: KindRefused, Message: fmt.Sprintf("%d of %d faults met another answer than demanded, the first is %s", bad, good+bad, first), Shown: a.json}
	}
	return nil
}

// place orders the faults of a run with one order: refused ones first.
func place(info ottpaytest.FaultInfo) int {
	switch demandOf(info) {
	case mustRefuse, mustNotAnswer:
		return 0
	}
	return 1
}

// conform runs one fault of a conformance run.
func (a *app) conform(ctx context.Context, p *plan, info ottpaytest.FaultInfo) (verdict, []shot, error) {
	skip := func(why string) (verdict, []shot, error) {
		return verdict{ok: true, skipped: true, demand: demandOf(info), why: why}, nil, nil
	}
	switch ottpaytest.CallbackFault(info.Name) {
	case ottpaytest.CallbackLost:
		return skip("only a query finds such a payment")
	case ottpaytest.CallbackOldKey:
		if len(p.keys) < 2 {
			return skip("needs a second key of the merchant (OTTPAY_SIGN_KEY_2)")
		}
	case ottpaytest.CallbackAmount:
		if p.order == "" {
			return skip("needs an order that the shop knows (--order, --amount)")
		}
	case ottpaytest.CallbackNone:
		order := p.order
		if order == "" {
			order = newOrderID()
		}
		r, err := request(p.notification(order))
		if err != nil {
			return verdict{}, nil, err
		}
		shots := []shot{{order: order, reply: p.poster.send(ctx, r)}}
		return judge(info, shots, p.order != ""), shots, nil
	}
	shots, err := a.runFault(ctx, p, info, ottpaytest.Fault{}, p.order)
	if err != nil {
		return verdict{}, nil, err
	}
	return judge(info, shots, p.order != ""), shots, nil
}

// conformed prints one line of the table.
func (a *app) conformed(info ottpaytest.FaultInfo, v verdict, shots []shot) {
	var statuses []int
	var words []string
	for _, s := range shots {
		statuses = append(statuses, s.reply.status)
		if s.reply.status == 0 {
			words = append(words, "none")
			continue
		}
		words = append(words, strconv.Itoa(s.reply.status))
	}
	if a.json {
		_ = a.object(struct {
			V        int    `json:"v"`
			Type     string `json:"type"`
			Fault    string `json:"fault"`
			Answers  []int  `json:"answers"`
			Demanded string `json:"demanded"`
			OK       bool   `json:"ok"`
			Skipped  bool   `json:"skipped,omitempty"`
			Why      string `json:"why,omitempty"`
		}{1, "conformance", info.FullName(), append([]int{}, statuses...), string(v.demand), v.ok, v.skipped, v.why})
		return
	}
	if len(words) > 4 {
		words = append(words[:4], "…")
	}
	word := a.paint(a.Out, green, "ok")
	switch {
	case v.skipped:
		word = a.paint(a.Out, dim, "skipped: "+v.why)
	case !v.ok:
		word = a.paint(a.Out, red, "FAIL") + ": " + v.why + " (" + info.Sentence + ")"
	}
	fmt.Fprintf(a.Out, "%-17s %-22s %-17s %s\n", info.Name, strings.Join(words, " "), v.demand, word)
}
