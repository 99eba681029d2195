package explain

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/gen/api"
)

// kind judges what the message is, and whether it is whole.
func (r *run) kind() {
	o := &r.outer
	var object value
	if r.opened != nil && r.opened.payload != nil {
		object, _ = parseJSON(r.opened.payload)
	}
	r.Kind = r.guessKind(object)
	before := r.Code
	switch r.Kind {
	case KindRequest:
		r.request(object)
	case KindCallback:
		r.callback(object)
	case KindResponse:
		r.response(object)
	}
	if r.Code != before {
		return
	}
	what := string(r.Kind)
	switch {
	case r.Kind == "":
		what = "not told: data and md5 alone"
	case r.Kind == KindRequest:
		what = strings.TrimSpace("request " + printableName(o.action) + " " + printable(o.version))
	case r.Kind == KindResponse && o.bareFailure:
		what = "response without data"
	}
	r.pass(StepKind, "%s", what)
}

// guessKind tells a message by what stands around it, then by its members.
func (r *run) guessKind(object value) Kind {
	o := &r.outer
	switch {
	case r.opt.Kind != "":
		return r.opt.Kind
	case o.hasAction:
		return KindRequest
	case object.kind != 'o':
		if o.hasCode {
			return KindResponse
		}
		return ""
	}
	has := func(name string) bool { _, ok := object.member(name); return ok }
	switch {
	case has("finish_time"):
		return KindCallback
	case !o.hasCode:
		return ""
	case fitsResponse(object):
		return KindResponse
	case len(requestNames(object)) > 0, looksLikeQuery(object):
		// A request in a callback's clothes, whatever it is meant to be.
		return KindCallback
	case has("bizpay_order_id") && o.merchant != "" && !hasResponseNames(object):
		return KindCallback
	}
	return KindResponse
}

// request judges the decrypted object of a request by its action's page.
func (r *run) request(object value) {
	o := &r.outer
	r.Action = printableName(o.action)
	if !o.hasAction {
		r.Action = ""
		if r.opt.Kind == KindRequest && o.hasCode {
			r.fail(mistake{
				step: StepKind, codes: []Code{"schema"}, at: At{In: "body", Member: "action"},
				why: "this is a response or a callback, and not a request: there is no action, and rsp_code is there",
				fix: "name action, version and merchant_id beside data and md5",
			})
		} else if r.opt.Kind == KindRequest {
			r.fail(mistake{
				step: StepKind, codes: []Code{"schema"}, at: At{In: "body", Member: "action"},
				why: "the envelope names no action",
				fix: "name action, version and merchant_id beside data and md5",
			})
		}
		return
	}
	action, known := api.LookupAction(o.action)
	if !known {
		m := mistake{
			step: StepKind, codes: []Code{"schema"}, at: At{In: "body", Member: "action"},
			why: "the action " + printableName(o.action) + " is unknown",
			fix: "use one of the documented actions; names are exact, in capital letters",
		}
		for _, a := range api.Actions() {
			if strings.EqualFold(string(a.Name), strings.TrimSpace(o.action)) {
				m.why += "; it is " + string(a.Name)
			}
		}
		r.fail(m)
		return
	}
	if o.merchant == "" {
		r.fail(mistake{
			step: StepKind, codes: []Code{"schema", "merchant"}, at: At{In: "body", Member: "merchant_id"},
			why: "the envelope names no merchant", fix: "write merchant_id beside data and md5",
		})
	}
	switch {
	case o.version == action.Version:
	case slices.Contains(observedVersions(action.Name), o.version):
		r.note("version %s of %s is in use, the page says %s", o.version, o.action, action.Version)
	default:
		r.fail(mistake{
			step: StepKind, codes: []Code{"schema"}, at: At{In: "body", Member: "version"},
			why: fmt.Sprintf("%s has version %s, and the envelope says %s", o.action, action.Version, shortValue(o.version, r.opt.Redact)),
			fix: "write version as the action's page does, as a string",
		})
	}
	if !action.Terminal && o.terminal {
		r.note("terminal_no belongs to the actions in store; the sandbox refuses it elsewhere")
	}
	if object.kind != 'o' {
		return
	}
	schema, ok := api.LookupSchema(action.Request)
	if !ok {
		return
	}
	r.innerMerchant(object)
	if only := notificationNames(object); only != "" {
		r.fail(mistake{
			step: StepKind, codes: []Code{"schema"}, at: At{In: "plaintext", Member: only},
			why: "data holds a callback (" + only + "), and the envelope is a request",
			fix: "seal the members of the action's page",
		})
		return
	}
	r.judge(schema, object)
}

// observedVersions are versions in use besides the documented one.
func observedVersions(a api.Action) []string {
	switch a {
	case api.ActionMAPPPAY:
		return []string{"1.0", "1.1"}
	case api.ActionACTIVEPAY, api.ActionPASSIVEPAY:
		return []string{"1.0", "1.1"}
	}
	return nil
}

func shortValue(s string, redact bool) string {
	if redact {
		return fmt.Sprintf("one of %d characters", utf8.RuneCountInString(s))
	}
	if s == "" {
		return "none"
	}
	return printable(s)
}

// judge checks a request by its schema, and forgives what is seen to work.
func (r *run) judge(schema *api.Schema, object value) {
	payload := r.opened.payload
	for range len(object.members) + len(schema.Members) + 1 {
		var broken *api.SchemaError
		if err := schema.Check(payload); err == nil {
			return
		} else if !errors.As(err, &broken) {
			return
		}
		repaired, note := forgive(schema, object, broken)
		if repaired.kind == 0 {
			r.schemaMistake(schema, object, broken)
			return
		}
		r.note("%s", note)
		object = repaired
		payload = jsonOptions{}.append(nil, object, 0)
	}
}

// forgive returns the object without what breaks the page and is known to
// work, and a note about it.
func forgive(schema *api.Schema, object value, broken *api.SchemaError) (value, string) {
	m, ok := schema.Member(broken.Member)
	if !ok {
		return value{}, ""
	}
	set := func(text string) value { return object.with(m, text) }
	example := strings.Trim(m.Example, `"`)
	v, present := object.member(m.Name)
	for _, alias := range m.Aliases {
		if !present {
			v, present = object.member(alias)
		}
	}
	switch {
	case !present && m.Role == api.RoleOperator && schema.Name == "ActivePayRequest":
		return set("0000000001"), "operator_id is missing; the page requires it, and ACTIVEPAY is seen to work without"
	case !present && m.Role == api.RoleOrderID && schema.Name != "StatusQueryRequest" && schema.Name != "CardQueryRequest":
		return set(example), broken.Member + " is missing; the page makes it optional, and without it an unclear outcome cannot be asked for"
	case !present && m.Name == "app_id":
		if id, ok := object.member("appId"); ok && id.kind == 's' && id.text != "" {
			return set(id.text), "appId stands for app_id, as in the page's example; the page's table says app_id"
		}
	case present && v.kind == 'n' && (m.Kind == api.MemberAmount || m.Kind == api.MemberText || m.Kind == api.MemberRate) && broken.Rule == "string":
		return set(v.text), broken.Member + " is a number; the page says String, and the digest fits"
	case present && v.kind == 'z' && !m.Required:
		return object.without(m), broken.Member + " is null; leave out what is absent"
	case present && m.Role == api.RoleTip && (v.text == "0" || v.text == "0.0"):
		return object.without(m), broken.Member + " is 0; leave it out where there is none"
	case present && v.kind == 's' && strings.HasPrefix(m.Pattern, "^(https://") && broken.Rule == "httpsurl":
		if u, err := url.Parse(v.text); err == nil && u.Scheme == "http" && u.Host != "" && !strings.ContainsAny(v.text, " \t\r\n") {
			u.Scheme = "https"
			return set(u.String()), broken.Member + " is plain http: every host on the way reads the callbacks"
		}
	}
	return value{}, ""
}

// names reports whether a name is one of the member's.
func names(m api.Member, name string) bool { return m.Name == name || slices.Contains(m.Aliases, name) }

// without returns an object without a member.
func (v value) without(m api.Member) value {
	out := v
	out.members = nil
	for i := range v.members {
		if !names(m, v.members[i].name) {
			out.members = append(out.members, v.members[i])
		}
	}
	return out
}

// with returns an object with a text as the value of a member.
func (v value) with(m api.Member, text string) value {
	out := v.without(m)
	out.members = append(out.members, pair{name: m.Name, value: value{kind: 's', text: text}})
	return out
}

// schemaMistake reports a member that breaks the action's page.
func (r *run) schemaMistake(schema *api.Schema, object value, broken *api.SchemaError) {
	m := mistake{step: StepKind, codes: []Code{"schema"}, at: At{In: "plaintext", Member: printableName(broken.Member)}, fix: "see " + schema.Pages[0]}
	member, _ := schema.Member(broken.Member)
	v, present := object.member(broken.Member)
	for _, alias := range member.Aliases {
		if !present {
			v, present = object.member(alias)
		}
	}
	switch broken.Rule {
	case "required":
		m.why = broken.Member + " is required, and missing"
		if present {
			m.why = broken.Member + " is required, and empty"
		}
		if near := nearName(object, schema, broken.Member); near != "" && !present {
			m.why += "; " + near + " is another name"
		}
	case "string":
		m.why = fmt.Sprintf("%s is a JSON %s; it must be a string", broken.Member, kindName(v.kind))
	case "null":
		m.why = broken.Member + " is null"
		m.fix = "leave out what is absent"
	case "amount", "min", "pattern":
		m.why = broken.Member + " is no amount as the page wants it"
		if member.Kind == api.MemberAmount {
			m.fix = "write whole cents as a string of digits, without a point, a sign or leading zeros: 19.99 is \"1999\""
		}
	case "enum":
		m.why = fmt.Sprintf("%s is none of %s", broken.Member, strings.Join(member.Enum, ", "))
	case "const":
		m.why = fmt.Sprintf("%s must be %s", broken.Member, member.Const)
	case "max":
		m.why = fmt.Sprintf("%s has more than %d characters", broken.Member, member.MaxLength)
	default:
		m.why = fmt.Sprintf("%s breaks the rule %s", broken.Member, broken.Rule)
		if broken.Member == "" {
			m.at = At{In: "plaintext"}
			m.why = "data " + broken.Rule
		}
	}
	r.fail(m)
}

// nearName returns a name of the object that may be meant for want.
func nearName(object value, schema *api.Schema, want string) string {
	squash := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for _, p := range object.members {
		if p.name != want && squash(p.name) == squash(want) {
			if _, known := schema.Member(p.name); !known {
				return printableName(p.name)
			}
		}
	}
	return ""
}

// innerMerchant compares the merchant inside with the one outside.
func (r *run) innerMerchant(object value) {
	inner, ok := object.member("merchant_id")
	o := &r.outer
	if !ok || inner.kind != 's' || inner.text == "" || o.merchant == "" || inner.text == o.merchant {
		return
	}
	m := mistake{
		step: StepKind, codes: []Code{"merchant"}, at: At{In: "plaintext", Member: "merchant_id"},
		why: fmt.Sprintf("merchant_id is %s outside and %s inside of data", shortValue(o.merchant, r.opt.Redact), shortValue(inner.text, r.opt.Redact)),
		fix: "name the same merchant at both places",
	}
	r.fail(m)
}

// callback judges a callback. The kit's webhook decides; this says why.
func (r *run) callback(object value) {
	o := &r.outer
	if o.hasAction {
		r.fail(mistake{
			step: StepKind, codes: []Code{"not-a-callback"}, at: At{In: "body", Member: "action"},
			why: "this is a request (" + printableName(o.action) + ") in place of a callback",
			fix: "post to the shop what the gateway posts: rsp_code, rsp_msg, merchant_id, data, md5",
		})
		return
	}
	if object.kind == 'o' {
		r.callbackMembers(object)
	}
	r.checkCode()
	if o.hasCode && o.merchant == "" {
		r.fail(mistake{
			step: StepKind, codes: []Code{"merchant", "unknown-merchant"}, at: At{In: "body", Member: "merchant_id"},
			why: "the callback names no merchant outside of data",
			fix: "write merchant_id beside rsp_code; the kit takes such a callback only with Config.Merchant",
		})
	}
}

func (r *run) callbackMembers(object value) {
	has := func(name string) bool {
		v, ok := object.member(name)
		return ok && v.kind != 'z' && !(v.kind == 's' && v.text == "")
	}
	not := func(member, why string) {
		r.fail(mistake{
			step: StepKind, codes: []Code{"not-a-callback"}, at: At{In: "plaintext", Member: member}, why: why,
			fix: "a callback holds order_id, bizpay_order_id, finish_time and amount (docs/protocol.md 8.2)",
		})
	}
	if names := requestNames(object); len(names) > 0 && (!has("finish_time") || !has("bizpay_order_id")) {
		not(names[0], "data holds a request ("+strings.Join(names, ", ")+"), and was posted as a callback")
		return
	}
	checkout := has("prepay_order_id") || has("sale_num") || has("pay_no") || has("payNo") || has("out_trade_no")
	switch {
	case has("finish_time") && !has("bizpay_order_id") && checkout:
		r.note("bizpay_order_id is missing, as in callbacks of a checkout; the kit asks the gateway before it believes one")
	case !has("bizpay_order_id") && !has("finish_time"):
		not("finish_time", "data holds neither finish_time nor bizpay_order_id: it is a request or a response, and no callback")
		return
	case !has("finish_time"):
		not("finish_time", "data has no finish_time: it is a response, or a callback that lacks it")
		return
	case !has("bizpay_order_id"):
		not("bizpay_order_id", "data has no bizpay_order_id: it is a request, or a callback that lacks it")
		return
	}
	r.innerMerchant(object)
	schema, ok := api.LookupSchema("Notification")
	if !ok {
		return
	}
	payload := r.opened.payload
	for range len(object.members) + 1 {
		var broken *api.SchemaError
		if err := schema.Check(payload); err == nil || !errors.As(err, &broken) {
			return
		}
		m, _ := schema.Member(broken.Member)
		if m.Required && !(m.Name == "bizpay_order_id" && checkout && !has(m.Name)) {
			r.schemaMistake(schema, object, broken)
			return
		}
		// Only what decides stops a payment.
		if _, ok := object.member(broken.Member); !ok && len(m.Aliases) == 0 {
			return
		}
		r.note("%s does not fit the page (%s); nothing rests on it", printableName(broken.Member), broken.Rule)
		object = object.without(m)
		payload = jsonOptions{}.append(nil, object, 0)
	}
}

// checkCode judges rsp_code, which nothing authenticates.
func (r *run) checkCode() {
	o := &r.outer
	if !o.hasCode {
		_, misprint := o.member("rep_code")
		if near := o.misspelled("rsp_code"); near != "" || misprint || r.opt.Kind == KindCallback || r.opt.Kind == KindResponse {
			m := mistake{
				step: StepKind, codes: []Code{"code-unknown"}, at: At{In: "body", Member: "rsp_code"},
				why: "there is no rsp_code", fix: "write rsp_code and rsp_msg beside data and md5",
			}
			if misprint {
				m.why = "there is no rsp_code; rep_code is a misprint of one of the vendor's pages"
			}
			r.fail(m)
		}
		return
	}
	known := slices.ContainsFunc(api.Codes(), func(c api.Code) bool { return strings.EqualFold(string(c), o.code) })
	m := mistake{step: StepKind, at: At{In: "body", Member: "rsp_code"}}
	switch {
	case !known:
		m.codes = []Code{"code-unknown"}
		m.why = "rsp_code is none of the known codes"
		if c := printableName(o.code); !r.opt.Redact && len(o.code) <= 32 {
			m.why += ": " + c
		}
		if o.code == "" {
			m.why = "rsp_code is empty"
		}
		m.fix = "the word of a success is SUCCESS; an unknown code leaves the outcome open, so that the order must be asked for"
		r.fail(m)
	case r.Kind == KindCallback && !strings.EqualFold(o.code, string(api.CodeSuccess)):
		m.codes = []Code{"code"}
		m.why = "rsp_code says " + printableName(o.code) + ", and the sealed data is a callback; nothing authenticates rsp_code"
		m.fix = "look whether something on the way has changed it; the kit asks the gateway"
		r.fail(m)
	}
}

// response judges an answer, as far as it can be known without its request.
func (r *run) response(object value) {
	o := &r.outer
	if o.hasAction {
		r.fail(mistake{
			step: StepKind, codes: []Code{"schema"}, at: At{In: "body", Member: "action"},
			why: "this is a request in place of a response: it was sent back as it came",
			fix: "an answer has rsp_code and rsp_msg, and no action",
		})
		return
	}
	r.checkCode()
	if object.kind != 'o' {
		return
	}
	if inner := object.str("merchant_id"); inner != "" && o.merchant != "" && inner != o.merchant {
		r.note("merchant_id differs outside and inside of data, as the gateway's answers are seen to do")
	}
	if schema := onlyResponse(object); schema != nil && !fitsResponse(object) {
		var broken *api.SchemaError
		if err := schema.Check(r.opened.payload); errors.As(err, &broken) {
			m, _ := schema.Member(broken.Member)
			if m.Required {
				r.schemaMistake(schema, object, broken)
			}
		}
		return
	}
	if names := requestNames(object); len(names) > 0 && !fitsResponse(object) {
		r.fail(mistake{
			step: StepKind, codes: []Code{"schema", "not-a-callback"}, at: At{In: "plaintext", Member: names[0]},
			why: "data holds a request (" + strings.Join(names, ", ") + ") in place of an answer",
			fix: "seal what the action's page says about the response",
		})
	}
}

// roleNames returns the names of schemas that choose selects.
func roleNames(choose func(*api.Schema) bool) map[string]bool {
	names := make(map[string]bool)
	for _, s := range api.Schemas() {
		schema, ok := api.LookupSchema(s)
		if !ok || schema.Name == "PayInfo" || !choose(schema) {
			continue
		}
		for _, m := range schema.Members {
			names[m.Name] = true
			for _, a := range m.Aliases {
				names[a] = true
			}
		}
	}
	return names
}

// requestNames returns the object's names that stand in requests alone.
func requestNames(object value) []string {
	requests := roleNames(func(s *api.Schema) bool { return s.Request })
	others := roleNames(func(s *api.Schema) bool { return !s.Request && s.Name != "PrepayQueryResponse" })
	queried := false // the answer of PREPAY_QUERY repeats much of the request
	if _, ok := object.member("status"); ok {
		_, queried = object.member("prepay_order_id")
	}
	var only []string
	for _, p := range object.members {
		if requests[p.name] && !others[p.name] && !queried {
			only = append(only, p.name)
		}
	}
	return only
}

// looksLikeQuery reports whether the object is no more than the id that a
// query names.
func looksLikeQuery(object value) bool {
	for _, p := range object.members {
		if p.name != "order_id" && p.name != "orderId" && p.name != "merchant_id" && p.name != "prepay_order_id" {
			return false
		}
	}
	return len(object.members) > 0
}

func hasResponseNames(object value) bool {
	responses := roleNames(func(s *api.Schema) bool { return s.Response })
	notifications := roleNames(func(s *api.Schema) bool { return !s.Response && !s.Request })
	for _, p := range object.members {
		if responses[p.name] && !notifications[p.name] {
			return true
		}
	}
	return false
}

// notificationNames returns a name that stands in callbacks alone, or "".
func notificationNames(object value) string {
	if _, ok := object.member("finish_time"); ok {
		return "finish_time"
	}
	return ""
}

// fitsResponse reports whether the object is one of the documented answers.
func fitsResponse(object value) bool {
	text := jsonOptions{}.append(nil, object, 0)
	others := roleNames(func(s *api.Schema) bool { return !s.Response })
	for _, s := range api.Schemas() {
		schema, ok := api.LookupSchema(s)
		if !ok || !schema.Response {
			continue
		}
		required := 0
		for _, m := range schema.Members {
			if m.Required {
				required++
			}
		}
		if required > 0 && schema.Check(text) == nil {
			return true
		}
		if required == 0 && schema.Check(text) == nil {
			// Nothing is required of it: some name must be its own.
			for _, p := range object.members {
				if _, ok := schema.Member(p.name); ok && !others[p.name] {
					return true
				}
			}
		}
	}
	return false
}

// onlyResponse returns the one answer that has a name of the object which no
// other message has, or nil.
func onlyResponse(object value) *api.Schema {
	var found *api.Schema
	for _, p := range object.members {
		var owner *api.Schema
		owners := 0
		for _, s := range api.Schemas() {
			schema, ok := api.LookupSchema(s)
			if !ok || schema.Name == "PayInfo" {
				continue
			}
			if _, has := schema.Member(p.name); has {
				owners++
				owner = schema
			}
		}
		if owners != 1 || !owner.Response {
			continue
		}
		if found != nil && found != owner {
			return nil
		}
		found = owner
	}
	return found
}
