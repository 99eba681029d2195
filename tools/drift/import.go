package drift

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ottpaykit/ottpay/tools/page"
)

// ImportOptions say what a page does not.
type ImportOptions struct {
	// Name is the name of the action in Go, such as MiniProgramPay. Defaults to
	// one made of the action's.
	Name string
	// Address is the page's URL at the vendor's. Defaults to where the page was
	// read, if that is a URL.
	Address string
}

// Draft is what Import makes of a page.
type Draft struct {
	Action string
	// Source is the document with the draft in it.
	Source []byte
	// Text is what was added to it.
	Text string
	// Overlay is what belongs into go.overlay.yaml, or "".
	Overlay string
	// Notes are what a person has to look at.
	Notes []string
}

// Import drafts the action that a page describes: its entry and the schemas of
// its request, answer, the JSON in the answer, and callback. What the page says
// twice in different ways is drafted so that the page's own examples are read,
// and recorded as a decision, so that Diff of the same page has nothing to say
// about the new document but what Notes names. The document must have the
// schemas of the envelopes.
func (d *Document) Import(name string, data []byte, o ImportOptions) (*Draft, error) {
	p := d.Read(name, o.Address, data)
	if p.Problem != "" {
		return nil, fmt.Errorf("the page cannot be read: %s", p.Problem)
	}
	if d.requestEnvelope == nil || d.responseEnvelope == nil {
		return nil, fmt.Errorf("%s has no schemas of the envelopes", d.Name)
	}
	g := &drafter{Document: d, page: p, data: data, options: o}
	if err := g.find(); err != nil {
		return nil, err
	}
	g.write()
	return g.settle()
}

// drafter collects what a page says of one action.
type drafter struct {
	*Document
	page    *page.Page
	data    []byte
	options ImportOptions

	action, version, name, address string
	request, answer, callback      draftPart
	held                           map[string]*draftPart // by the answer's member
	shownVersion                   string

	order   string // request member with the order's id, or ""
	schemas strings.Builder
	entry   strings.Builder
	notes   []string
	pages   []string // existing schemas that get the page's address
}

// draftPart is one schema to be.
type draftPart struct {
	side     draftSide
	rows     []page.Param
	examples []*page.Example
	shown    []page.Member // members of all examples
}

type draftSide int

const (
	requestSide draftSide = iota
	answerSide
	heldSide
	callbackSide
)

func (p *draftPart) row(name string) *page.Param {
	for i := range p.rows {
		if p.rows[i].Name == name {
			return &p.rows[i]
		}
	}
	return nil
}

// add keeps the first row of a name.
func (p *draftPart) add(row page.Param) {
	if p.row(row.Name) == nil {
		p.rows = append(p.rows, row)
	}
}

// find reads the page's tables in order.
func (g *drafter) find() error {
	g.request.side, g.answer.side, g.callback.side = requestSide, answerSide, callbackSide
	g.held = make(map[string]*draftPart)
	sections := sectionsOf(g.page.Tables)
	var current *draftPart
	at := make(map[*page.Table]*draftPart)
	answered := false
	for i, t := range g.page.Tables {
		if g.isCodes(t) {
			continue
		}
		rest := t.Params
		switch kind, n := g.envelope(t); kind {
		case requestSide:
			g.readEnvelope(rest[:n])
			current, rest = &g.request, rest[n:]
		case answerSide, callbackSide:
			current, rest = &g.answer, rest[n:]
			if answered || kind == callbackSide && sections[i] == callbackSection {
				current = &g.callback
			}
			answered = true
		default:
			current = g.next(t, current, sections[i])
		}
		if current == nil {
			continue
		}
		for _, row := range rest {
			current.add(row)
		}
		at[t] = current
	}
	if g.action == "" {
		return fmt.Errorf("the page names no action: a table with the row \"action\" is missing")
	}
	if g.Document.action(g.action) != nil {
		return fmt.Errorf("the document has the action %s already: compare the page with `ottpay docs diff`", g.action)
	}
	if len(g.request.rows) == 0 {
		return fmt.Errorf("the page has no table of the request's data")
	}
	g.giveExamples(at)
	g.address = g.options.Address
	if g.address == "" {
		g.address = g.page.Address
	}
	if g.address == "" {
		g.address = "https://docs.ottpay.com/payment-api"
		g.notes = append(g.notes, "pages: the page's address is not known, so the root of the documentation stands in its place")
	}
	if g.name = g.options.Name; g.name == "" {
		for _, word := range strings.Split(g.action, "_") {
			g.name += word[:1] + strings.ToLower(word[1:])
		}
	}
	return nil
}

// envelope tells which envelope a table begins with, and in how many rows. A
// table may hold the data's members behind them.
func (g *drafter) envelope(t *page.Table) (draftSide, int) {
	count := func(s *schema) (n, rows int) {
		seen := make(map[string]bool)
		for _, p := range t.Params {
			if s.named(p.Name) == nil || seen[p.Name] {
				break
			}
			seen[p.Name] = true
			rows++
		}
		return len(seen), rows
	}
	if n, rows := count(g.requestEnvelope); n >= 3 && slices.ContainsFunc(t.Params[:rows], func(p page.Param) bool { return p.Name == "action" }) {
		return requestSide, rows
	}
	if n, rows := count(g.responseEnvelope); n >= 3 && slices.ContainsFunc(t.Params[:rows], func(p page.Param) bool { return p.Name == "rsp_code" }) {
		if slices.ContainsFunc(t.Params[:rows], func(p page.Param) bool { return p.Name == "merchant_id" }) {
			return callbackSide, rows
		}
		return answerSide, rows
	}
	return heldSide, 0
}

func (g *drafter) readEnvelope(rows []page.Param) {
	for _, row := range rows {
		values := row.Constants(true)
		if len(values) != 1 {
			continue
		}
		switch row.Name {
		case "action":
			g.action = values[0]
		case "version":
			g.version = values[0]
		}
	}
}

// next finds the part of a table that is no envelope.
func (g *drafter) next(t *page.Table, current *draftPart, in section) *draftPart {
	title := strings.Join(t.Heading, "\n")
	if current == &g.answer || current != nil && current.side == heldSide {
		for _, row := range g.answer.rows {
			if strings.Contains(title, row.Name) && !strings.Contains(strings.ToLower(title), "transaction data") && len(g.answer.rows) > 0 {
				if g.held[row.Name] == nil {
					g.held[row.Name] = &draftPart{side: heldSide}
				}
				return g.held[row.Name]
			}
		}
	}
	switch in {
	case callbackSection:
		return &g.callback
	case responseSection:
		if current == nil || current == &g.request {
			return &g.answer
		}
	}
	if current == nil {
		return &g.request
	}
	return current
}

// giveExamples gives each example to the part that has most of its members.
func (g *drafter) giveExamples(at map[*page.Table]*draftPart) {
	parts := []*draftPart{&g.request, &g.answer, &g.callback}
	for _, e := range g.page.Examples {
		names := e.Names()
		if slices.Contains(names, "md5") && slices.Contains(names, "data") {
			for _, m := range e.Members {
				if m.Name == "version" {
					g.shownVersion = m.Value.Text
				}
			}
			continue
		}
		var best *draftPart
		most := 0.4
		for _, part := range parts {
			like := 0.0
			for _, name := range names {
				if part.spelled(name) != nil {
					like++
				}
			}
			like /= float64(len(names))
			if e.After > 0 && e.After <= len(g.page.Tables) && at[g.page.Tables[e.After-1]] == part {
				like += 0.3
			}
			if like > most {
				best, most = part, like
			}
		}
		if best == nil {
			continue
		}
		best.examples = append(best.examples, e)
		best.shown = append(best.shown, e.Members...)
		for _, m := range e.Members {
			if held := g.held[m.Name]; held != nil && best == &g.answer {
				inner := m.Value.Members
				if inner == nil {
					inner = page.Object(m.Value.Text)
				}
				if inner != nil {
					held.shown = append(held.shown, inner...)
				}
			}
		}
	}
}

// spelled returns the row of a name in any spelling.
func (p *draftPart) spelled(name string) *page.Param {
	if row := p.row(name); row != nil {
		return row
	}
	for i := range p.rows {
		if fold(p.rows[i].Name) == fold(name) {
			return &p.rows[i]
		}
	}
	return nil
}

// value returns a member's value in the examples, by its name or an alias.
func (p *draftPart) value(names ...string) (page.Value, bool) {
	for _, m := range p.shown {
		if slices.Contains(names, m.Name) {
			return m.Value, true
		}
	}
	return page.Value{}, false
}

// draft is a member to be: its name, its schema as one line, and an example.
type draft struct {
	name, schema, example string
	required              bool
}

// spellings are names that the vendor writes in two ways. The first is preferred
// where the page has the other (13, rows 5, 7, 8 and 9).
var spellings = [][2]string{{"tip", "Tip"}}

// twins are names of which the vendor uses both; the page's own is preferred.
var twins = [][2]string{{"payInfo", "payinfo"}, {"rspCode", "respcode"}, {"rspMsg", "respmsg"}, {"buyer_login_id", "buyer_logon_id"}, {"codeUrl", "code_url"}, {"bizType", "biz_type"}}

// aliases returns the name under which a row is drafted, and its other ones.
func (p *draftPart) aliases(row page.Param) (name string, aliases []string) {
	name = row.Name
	for _, s := range spellings {
		if name == s[0] || name == s[1] {
			name, aliases = s[0], []string{s[1]}
		}
	}
	if p.side != requestSide {
		for _, s := range twins {
			switch name {
			case s[0]:
				aliases = append(aliases, s[1])
			case s[1]:
				aliases = append(aliases, s[0])
			}
		}
	}
	for _, m := range p.shown {
		if m.Name != name && p.row(m.Name) == nil && fold(m.Name) == fold(name) && !slices.Contains(aliases, m.Name) {
			aliases = append(aliases, m.Name)
		}
	}
	return name, aliases
}

// drafts makes the members of a part: those of its table, then those that only
// an example has.
func (g *drafter) drafts(p *draftPart) []draft {
	var out []draft
	used := make(map[string]bool)
	add := func(row page.Param, inTable bool) {
		name, aliases := p.aliases(row)
		if used[name] {
			return
		}
		used[name] = true
		for _, a := range aliases {
			used[a] = true
		}
		value, shown := p.value(append([]string{name, row.Name}, aliases...)...)
		required := inTable && row.Required == page.Required
		if required && !shown && len(p.shown) > 0 {
			required = false // the page's own example lacks it
		}
		if shown && (value.Kind == "null" || value.Kind == "string" && value.Text == "") {
			required = false
		}
		out = append(out, g.member(p, name, aliases, row, value, shown, required))
	}
	for _, row := range p.rows {
		add(row, true)
	}
	for _, m := range p.shown {
		if p.spelled(m.Name) == nil {
			add(page.Param{Name: m.Name, Notes: "Not in the table of the page, but in its example"}, false)
		}
	}
	return out
}

var (
	urlName       = regexp.MustCompile(`(?i)(^|_)url$|Url$|URL$`)
	backURL       = regexp.MustCompile(`(?i)call_?back|notif|^back`)
	orderName     = regexp.MustCompile(`^(order_?id|prepay_order_id)$|^orderId$`)
	currencyName  = regexp.MustCompile(`(?i)^(currency(_?type|_?code)?|fee_?type)$`)
	timeName      = regexp.MustCompile(`(?i)(^|_)time$|Time$`)
	statusName    = regexp.MustCompile(`^(order_status|orderStatus|trade_status|status)$`)
	sensitiveName = regexp.MustCompile(`(?i)open_?id|mail|phone|mobile|^name$|_name$|remark|auth|card|token|secret|sign$|nonce|(^|_)key$|buyer|addr|link|url$|pay_?info`)
	plainHeld     = regexp.MustCompile(`(?i)^app_?id$|type$`)
)

// member drafts one member.
func (g *drafter) member(p *draftPart, name string, aliases []string, row page.Param, value page.Value, shown, required bool) draft {
	out := draft{name: name, required: required}
	var fields []string
	field := func(format string, args ...any) { fields = append(fields, fmt.Sprintf(format, args...)) }
	ref := func(shared string) {
		field(`$ref: "#/components/schemas/%s"`, shared)
	}
	role := func(r string) { field("x-ottpay-role: %s", r) }
	length, limited := row.MaxLength()
	limit := func() {
		if limited {
			field("maxLength: %d", length)
		}
	}
	constants := row.Constants(false)
	if value.Kind == "string" && len(constants) == 1 && shown && value.Text != constants[0] {
		constants = nil // the example has another value
	}
	example := ""
	sensitive := sensitiveName.MatchString(name)
	switch p.side {
	case heldSide:
		sensitive = !plainHeld.MatchString(name)
		if required {
			field("type: [string, number]")
			field("minLength: 1")
		} else {
			field(`type: [string, number, "null"]`)
		}
		limit()
		field("x-ottpay-kind: text")
		example = firstOf(append(constants, "text"))
	case requestSide:
		example = g.requestMember(name, row, required, constants, ref, field, role, limit, limited, &sensitive)
	default:
		example = g.answerMember(p, name, required, ref, field, role, limit, limited, &sensitive)
	}
	if len(aliases) > 0 {
		field("x-ottpay-aliases: [%s]", strings.Join(aliases, ", "))
	}
	if sensitive && !strings.Contains(fields[0], "CallbackURL") {
		field("x-ottpay-sensitive: true")
	}
	field("description: %s", scalar(describe(row)))
	out.schema = "{" + strings.Join(fields, ", ") + "}"
	out.example = scalarExample(example)
	if shown {
		switch {
		case value.Kind == "object":
			out.example = flowObject(value.Members)
		case value.Members != nil || value.Kind == "string":
			out.example = scalarExample(value.Text)
		case value.Kind == "number" || value.Kind == "boolean":
			out.example = value.Text
		case value.Kind == "array":
			out.example = "[]"
		}
	}
	return out
}

type fielder = func(format string, args ...any)

// requestMember writes the fields of a request's member and returns an example.
func (g *drafter) requestMember(name string, row page.Param, required bool, constants []string, ref func(string), field fielder, role func(string), limit func(), limited bool, sensitive *bool) string {
	free := func(example string) string {
		field("type: string")
		if required {
			field("minLength: 1")
		}
		if limited {
			limit()
		} else {
			field("maxLength: 128")
		}
		return example
	}
	switch {
	case name == g.order && g.isQuery():
		ref("AnswerID")
		role("order-id")
		return "A2020041468976"
	case name == g.order:
		ref("RequestOrderID")
		if required {
			field("minLength: 1")
		}
		return "A2020041468976"
	case name == "merchant_id":
		ref("RequestMerchant")
		if required {
			field("minLength: 1")
		}
		return "QC00005496"
	case name == "operator_id":
		ref("RequestOperator")
		if !required {
			field("minLength: 0")
		}
		return "0000020156"
	case isMoney(row):
		ref("RequestAmount")
		switch {
		case name == "tip":
			role("tip")
		case g.amount() == name:
			role("amount")
		}
		return "100"
	case urlName.MatchString(name) && required:
		ref("CallbackURL")
		role(urlRole(name))
		return "https://shop.example/ottpay"
	case urlName.MatchString(name):
		field("type: string")
		field("maxLength: 255")
		role(urlRole(name))
		*sensitive = true
		return "https://shop.example/ottpay"
	case currencyName.MatchString(name):
		field("type: string")
		if required {
			field("minLength: 1")
		}
		field(`pattern: "^([A-Z]{3})?$"`)
		field("x-ottpay-rule: currency")
		role("currency")
		return "CAD"
	case strings.HasPrefix(name, "auth_code"):
		*sensitive = true
		example := free("134567890123456789")
		role("auth-code")
		return example
	case name == "ori_order_id":
		ref("AnswerID")
		role("original-order-id")
		return "A2020041468976"
	case required && len(constants) > 0 && wordsOnly(constants):
		field("type: string")
		field("enum: [%s]", strings.Join(quotedScalars(constants), ", "))
		return constants[0]
	}
	return free("text")
}

func urlRole(name string) string {
	if backURL.MatchString(name) {
		return "callback-url"
	}
	return "redirect-url"
}

// answerMember writes the fields of an answer's or a callback's member.
func (g *drafter) answerMember(p *draftPart, name string, required bool, ref func(string), field fielder, role func(string), limit func(), limited bool, sensitive *bool) string {
	row := p.spelled(name)
	if row == nil {
		row = &page.Param{Name: name}
	}
	echo := func(to string) {
		if p.side == answerSide && g.request.row(to) != nil {
			field("x-ottpay-echo: %s", to)
		}
	}
	decides := func(yes bool) {
		if !required {
			field("x-ottpay-decides: %v", yes)
		}
	}
	held := g.held[name]
	switch {
	case held != nil:
		if required {
			field("type: [string, object]")
			field("minLength: 1")
			field("minProperties: 1")
		} else {
			field(`type: [string, object, "null"]`)
		}
		field("x-ottpay-kind: json")
		field("x-ottpay-schema: %s", g.heldName(name))
		*sensitive = true
		return "{}"
	case orderName.MatchString(name) && (name == g.order || g.order == "" || p.side == callbackSide):
		if required {
			ref("AnswerID")
		} else {
			ref("NamedID")
		}
		role("order-id")
		echo(g.order)
		return "A2020041468976"
	case name == "merchant_id" && required:
		ref("AnswerID")
		role("merchant")
		return "QC00005496"
	case name == "merchant_id" && p.side == callbackSide:
		ref("AnswerMerchant")
		return "QC00005496"
	case name == "merchant_id":
		ref("OptionalID")
		field("maxLength: 64")
		decides(false)
		role("merchant")
		return "QC00005496"
	case isMoney(*row) && required:
		ref("PaidAmount")
		if name == p.amount() {
			role("amount")
			echo(g.amount())
		}
		return "100"
	case isMoney(*row):
		ref("OptionalAmount")
		switch {
		case name == "tip":
			role("tip")
		case name == p.amount():
			decides(true)
			role("amount")
			echo(g.amount())
		}
		return "100"
	case statusName.MatchString(name):
		if required {
			ref("OrderStatus")
		} else {
			ref("OptionalOrderStatus")
		}
		return "success"
	case name == "finish_time" && required:
		ref("FinishTime")
		return "20200416050429"
	case timeName.MatchString(name) && !required:
		ref("KeptTime")
		return "2020-04-16 05:04:29"
	case name == "bizpay_order_id":
		if required {
			ref("AnswerID")
		} else {
			ref("OptionalID")
		}
		role("channel-id")
		return "AL781266859681754"
	case (fold(name) == "payinfo" || fold(name) == "codeurl") && required:
		field("type: string")
		field("minLength: 1")
		limit()
		role("link")
		*sensitive = true
		return "https://pay.example/A2020041468976"
	case required:
		field("type: [string, number]")
		field("minLength: 1")
		limit()
		field("x-ottpay-kind: text")
		return "text"
	case limited:
		field(`type: [string, number, "null"]`)
		limit()
		field("x-ottpay-kind: text")
		return "text"
	}
	ref("OptionalText")
	return "text"
}

// amount is the member with the amount of the payment.
func (p *draftPart) amount() string {
	for _, name := range []string{"amount", "total_amount", "txnAmt", "refund_amt", "total_fee"} {
		if p.row(name) != nil {
			return name
		}
	}
	return ""
}

func (g *drafter) amount() string { return g.request.amount() }

func (g *drafter) isQuery() bool { return strings.Contains(g.action, "QUERY") }

func (g *drafter) heldName(member string) string {
	name := strings.ToUpper(member[:1]) + member[1:]
	if g.Document.schemas[name] != nil {
		return g.name + name
	}
	return name
}

func wordsOnly(values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return v == "" || strings.ContainsAny(v, ` '|,\`) })
}

func quotedScalars(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = scalar(v)
	}
	return out
}

// scalarExample writes a text as an example. Digits need quotes.
func scalarExample(text string) string {
	out := scalar(text)
	if !strings.HasPrefix(out, `"`) && strings.ContainsAny(out, "0123456789") {
		return `"` + out + `"`
	}
	return out
}

func flowObject(members []page.Member) string {
	var parts []string
	for _, m := range members {
		parts = append(parts, key(m.Name)+": "+scalarExample(m.Value.Text))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// write writes the entry and the schemas.
func (g *drafter) write() {
	for _, name := range []string{"order_id", "orderId", "prepay_order_id"} {
		if g.request.row(name) != nil && g.order == "" {
			g.order = name
		}
	}
	fmt.Fprintf(&g.schemas, "\n    # %s, drafted by `ottpay docs import`\n", g.action)
	g.schema(g.name+"Request", "is the request of "+g.action+".", &g.request, true)
	g.schema(g.name+"Response", "is the answer to "+g.action+".", &g.answer, true)
	for _, row := range g.answer.rows {
		if held := g.held[row.Name]; held != nil {
			g.schema(g.heldName(row.Name), "is the JSON in the "+row.Name+" of "+g.action+"'s answer.", held, false)
		}
	}
	if len(g.callback.rows) > 0 {
		if has := g.Document.schemas["Notification"]; has == nil {
			g.schema("Notification", "is what the gateway says about a payment, to the URL given when the payment was asked for.", &g.callback, false)
		} else if g.covers(has) {
			g.pages = append(g.pages, has.name)
		} else {
			g.schema(g.name+"Notification", "is what the gateway says about a payment by "+g.action+".", &g.callback, false)
		}
	}
	g.writeEntry()
}

// covers reports whether a schema has all members of the page's callback.
func (g *drafter) covers(s *schema) bool {
	return !slices.ContainsFunc(g.callback.rows, func(p page.Param) bool { return s.reads(p.Name) == nil })
}

func (g *drafter) schema(name, description string, p *draftPart, ofAction bool) {
	w := &g.schemas
	fmt.Fprintf(w, "    %s:\n      description: %s\n", name, scalar(description))
	if !ofAction {
		fmt.Fprintf(w, "      x-ottpay-pages:\n        - %s\n", g.address)
	}
	fmt.Fprintf(w, "      type: object\n")
	all := g.drafts(p)
	var required, examples []string
	for _, m := range all {
		if m.required {
			required = append(required, key(m.name))
		}
		examples = append(examples, "        "+key(m.name)+": "+m.example)
	}
	if len(required) > 0 {
		fmt.Fprintf(w, "      required: [%s]\n", strings.Join(required, ", "))
	}
	fmt.Fprintf(w, "      properties:\n")
	for _, m := range all {
		fmt.Fprintf(w, "        %s: %s\n", key(m.name), m.schema)
	}
	if p.side == requestSide {
		fmt.Fprintf(w, "      propertyNames: {$ref: \"#/components/schemas/RequestName\"}\n")
	}
	if len(examples) > 0 {
		fmt.Fprintf(w, "      example:\n%s\n", strings.Join(examples, "\n"))
	} else {
		fmt.Fprintf(w, "      example: {}\n")
	}
}

func (g *drafter) writeEntry() {
	kind, effect := "effect", "none"
	has := func(name string) bool { return g.request.row(name) != nil }
	switch {
	case g.isQuery():
		kind, effect = "query", "query-order"
		if g.order == "" {
			effect = "none"
		}
	case strings.Contains(g.action, "REFUND"):
		effect = "refund"
	case has("auth_code"):
		effect = "pay-now"
	case g.order != "" && g.amount() != "":
		effect = "create-order"
	}
	g.notes = append(g.notes, fmt.Sprintf("kind is %s and effect is %s: whether the action may move money decides whether it may be repeated", kind, effect))
	if g.version == "" {
		if g.version = g.shownVersion; g.version == "" {
			g.version = "1.0"
			g.notes = append(g.notes, "version: the page names none, so it is 1.0")
		}
	}
	order := g.order
	if order == "" {
		order = "none"
	}
	fmt.Fprintf(&g.entry, "  %s: # drafted by `ottpay docs import`\n    summary: %s\n    version: %q\n    kind: %s\n    pages:\n      - %s\n    request: %sRequest\n    response: %sResponse\n    order: %s\n    effect: %s\n",
		g.action, scalar(fmt.Sprintf("does what the vendor's page %q describes", strings.TrimRight(g.page.Title, "."))), g.version, kind, g.address, g.name, g.name, order, effect)
}

// settle puts the draft into the document, compares the page with it and
// records what is left as decisions.
func (g *drafter) settle() (*Draft, error) {
	out := &Draft{Action: g.action}
	if g.options.Name != "" {
		out.Overlay = fmt.Sprintf("  - target: $[\"x-ottpay-actions\"].%s\n    update: {x-go-name: %s}\n", g.action, g.name)
	}
	var decisions map[string][]string
	for range 2 { // without decisions first, then with them
		source, text, err := g.assemble(decisions)
		if err != nil {
			return nil, err
		}
		next, err := ReadDocument(g.Name, source)
		if err != nil {
			return nil, fmt.Errorf("the draft is not a document: %w", err)
		}
		found := next.Diff([]*page.Page{next.Read(g.page.Name, g.address, g.data)}, Options{})
		out.Source, out.Text = source, text
		if decisions != nil {
			for _, f := range found {
				g.notes = append(g.notes, f.Sentence())
			}
			break
		}
		decisions = g.decide(found)
		if len(decisions) == 0 {
			break
		}
	}
	out.Notes = g.notes
	return out, nil
}

// decide writes findings about drafted schemas as decisions, by the schema, or
// "" for the action.
func (g *drafter) decide(found []Finding) map[string][]string {
	out := make(map[string][]string)
	for _, f := range found {
		at := f.schema
		if f.Where == InEnvelope || f.Where == InCodes {
			at = ""
		}
		if f.Kind == PageUnreadable || f.Kind == PageWithoutSchema || !f.Kind.Decidable() {
			continue
		}
		members, pages := "", ""
		if at != "" && g.Document.schemas[at] != nil { // a schema that other pages describe as well
			pages = fmt.Sprintf(", pages: [%s]", g.action)
		}
		if f.Member != "" {
			members = fmt.Sprintf(", members: [%s]", key(f.Member))
		}
		out[at] = append(out[at], fmt.Sprintf("        - {about: %s%s, says: %s%s, does: %s, why: %s}\n", f.Kind, members, quotedScalar(f.Now), pages, scalar(does(f)), scalar("the page says two things; drafted so that its examples are read")))
	}
	return out
}

func does(f Finding) string {
	switch f.Kind {
	case RequiredChange:
		return "reads a message without it"
	case MemberRemoved:
		return "reads it"
	case MemberRenamed:
		return "sends " + f.Was + " and reads both"
	case ConstantChange:
		return "takes any value"
	case ExampleInvalid:
		return "keeps to the table"
	case TypeChange:
		return "reads " + strings.ReplaceAll(f.Was, "/", " and ")
	}
	return "is as drafted"
}

func quotedScalar(s string) string {
	if out := scalar(s); strings.HasPrefix(out, `"`) {
		return out
	}
	return `"` + s + `"`
}

// assemble inserts the draft into the document's text.
func (g *drafter) assemble(decisions map[string][]string) (source []byte, text string, err error) {
	e := &editor{doc: g.Document, lines: strings.SplitAfter(string(g.source), "\n")}
	entry, schemas := g.entry.String(), g.schemas.String()
	if list := decisions[""]; len(list) > 0 {
		entry += "    x-ottpay-decision:\n" + strings.ReplaceAll(strings.Join(list, ""), "        - ", "      - ")
	}
	for name, list := range decisions {
		if s := g.Document.schemas[name]; s != nil {
			e.decide(s, list)
		} else if name != "" {
			head := "    " + name + ":\n"
			i := strings.Index(schemas, head) + len(head)
			i += strings.IndexByte(schemas[i:], '\n') + 1 // behind the description
			schemas = schemas[:i] + "      x-ottpay-decision:\n" + strings.Join(list, "") + schemas[i:]
		}
	}
	if err := e.append("x-ottpay-actions", entry, "x-ottpay-actions"); err != nil {
		return nil, "", err
	}
	if err := e.append("components.schemas", schemas, "components", "schemas"); err != nil {
		return nil, "", err
	}
	for _, name := range g.pages {
		s := g.Document.schemas[name]
		pages := value(s.node, "x-ottpay-pages")
		if pages == nil || pages.Kind != yaml.SequenceNode || len(pages.Content) == 0 || pages.Style&yaml.FlowStyle != 0 {
			g.notes = append(g.notes, "add "+g.address+" to the pages of "+name)
			continue
		}
		last := pages.Content[len(pages.Content)-1]
		e.inserts = append(e.inserts, insert{before: last.Line + 1, text: strings.Repeat(" ", last.Column-3) + "- " + g.address + "\n"})
	}
	return []byte(e.text()), entry + schemas, nil
}

// decide adds decisions to a schema that the document has already.
func (e *editor) decide(s *schema, list []string) {
	text := strings.Join(list, "")
	if at, old := child(s.node, "x-ottpay-decision"); at != nil && old.Style&yaml.FlowStyle == 0 && len(old.Content) > 0 {
		e.inserts = append(e.inserts, insert{before: e.end(s.node, at), text: text})
		return
	}
	if at, _ := child(s.node, "type"); at != nil {
		e.inserts = append(e.inserts, insert{before: e.aboveComments(at), text: strings.Repeat(" ", at.Column-1) + "x-ottpay-decision:\n" + text})
	}
}

// append adds text at the end of a mapping.
func (e *editor) append(name, text string, path ...string) error {
	parent := e.doc.root
	if len(path) > 1 {
		parent = value(e.doc.root, path[:len(path)-1]...)
	}
	at, mapping := child(parent, path[len(path)-1])
	switch {
	case at == nil:
		return fmt.Errorf("%s: no %s", e.doc.Name, name)
	case mapping.Kind == yaml.ScalarNode && mapping.Value == "": // nothing below it yet
		e.inserts = append(e.inserts, insert{before: at.Line + 1, text: text})
		return nil
	case mapping.Kind != yaml.MappingNode || mapping.Style&yaml.FlowStyle != 0 || len(mapping.Content) == 0:
		return fmt.Errorf("%s: %s is not a mapping in block style", e.doc.Name, name)
	}
	e.inserts = append(e.inserts, insert{before: e.end(mapping, mapping.Content[len(mapping.Content)-2]), text: text})
	return nil
}

// Strip returns the document without its actions and all schemas but those of
// the envelopes and the shared values: what a page can be imported into from
// nothing.
func Strip(d *Document) []byte {
	e := &editor{doc: d, lines: strings.SplitAfter(string(d.source), "\n")}
	drop := func(from, to int) { // lines, to is the first that stays
		for i := from; i < to; i++ {
			e.lines[i-1] = ""
		}
	}
	entries := func(mapping *yaml.Node, gone func(name string) bool) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if at := mapping.Content[i]; gone(at.Value) {
				drop(e.aboveComments(at), e.end(mapping, at))
			}
		}
	}
	if actions := value(d.root, "x-ottpay-actions"); actions != nil {
		entries(actions, func(string) bool { return true })
	}
	if schemas := value(d.root, "components", "schemas"); schemas != nil {
		entries(schemas, func(name string) bool {
			s := d.schemas[name]
			return s != nil && s != d.requestEnvelope && s != d.responseEnvelope && s != d.callbackEnvelope
		})
	}
	return []byte(strings.Join(e.lines, ""))
}
