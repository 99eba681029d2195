package drift

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/tools/page"
)

var only = flag.String("only", "", "try the styles alone whose names contain this")

var everything = flag.Bool("everything", false, "try every edit in every style, not only some of each kind, with the race detector too")

// sampled reports whether the i-th edit is tried in the j-th style.
func sampled(i, j, styles int, e edit) bool {
	const every = 151
	switch {
	case *everything:
		return true
	case raced: // a third of the edits, in one style each
		return (i%3 == 0 || e.always) && (i/3)%styles == j
	}
	return (i+j)%every == 0 || e.always && (i+j)%(every/5) == 0
}

func document(t testing.TB) *Document {
	t.Helper()
	path := filepath.Join("..", "..", "openapi", "ottpay.yaml")
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ReadDocument("openapi/ottpay.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// want is a finding without its surroundings: "where member kind was now".
func say(all []Finding) []string {
	out := []string{}
	for _, f := range all {
		out = append(out, fmt.Sprintf("%s %s %s %q %q", f.Where, f.Member, f.Kind, f.Was, f.Now))
	}
	slices.Sort(out)
	return out
}

func diff(d *Document, text string) []Finding {
	return d.Diff([]*page.Page{d.Read("page.md", "", []byte(text))}, Options{})
}

// edit is one change of a page, and what is to be reported for it.
type edit struct {
	name  string
	apply func(d *doc)
	want  []string
	// always says that it is tried in every style.
	always bool
}

// border reports whether the edit adds a member where a part begins or ends.
func (e edit) border() bool {
	return strings.HasPrefix(e.name, "add new_member") || strings.HasPrefix(e.name, "add ext_flag_2")
}

func placeOf(part string) string {
	switch {
	case strings.HasSuffix(part, "envelope"):
		return "envelope"
	case part == "answer":
		return "response"
	case part == "payInfo":
		return "pay_info"
	}
	return part
}

// memberOf returns the document's member for a row of a part.
func memberOf(d *Document, base doc, part, name string) (*member, *schema) {
	a := d.action("MAPPPAY")
	if len(base.parts) == 6 {
		a = d.action("H5PAY")
	}
	for _, s := range d.slotsOf(a, a.pages[:1]) {
		if s.title == part {
			return s.schema.reads(name), s.schema
		}
	}
	return nil, nil
}

func partsOf(d doc) []string {
	parts := []string{"request envelope", "request", "answer envelope", "answer", "payInfo", "callback envelope", "callback"}
	if len(d.parts) == 6 {
		parts = slices.Delete(parts, 4, 5)
	}
	return parts
}

// edits lists single changes of a page: every row removed, renamed, made
// optional or required, given a length and a type; members added everywhere;
// every constant changed; every example spoilt.
func edits(d *Document, base doc) []edit {
	var out []edit
	add := func(e edit) { out = append(out, e) }
	for _, part := range partsOf(base) {
		rows := base.part(part).rows
		for i, at := range []int{0, len(rows) / 2, len(rows)} {
			name := []string{"new_member", "payerLevel", "ext_flag_2"}[i]
			add(edit{fmt.Sprintf("add %s to %s at %d", name, part, at), func(d *doc) {
				p := d.part(part)
				p.rows = slices.Insert(p.rows, at, row{name, "Something new", "N", "Since 2026"})
			}, []string{fmt.Sprintf(`%s %s member-added "" %q`, placeOf(part), name, name)}, i == 1 || part == "callback" && i == 2})
		}
		for i, r := range rows {
			known, in := memberOf(d, base, part, r.name)
			member := known.name
			renamed := r.name
			constant := strings.Trim(r.notes, "\"“”")
			isConstant := constant != r.notes
			add(edit{"remove " + part + "." + r.name, func(d *doc) {
				p := d.part(part)
				p.rows = slices.Delete(p.rows, i, i+1)
			}, []string{fmt.Sprintf(`%s %s member-removed %q ""`, placeOf(part), member, member)}, i == len(rows)/2})
			add(edit{"rename " + part + "." + r.name, func(d *doc) { d.part(part).rows[i].name = "trade_" + strings.ToLower(r.name[:2]) + "x" },
				[]string{fmt.Sprintf(`%s %s member-renamed %q %q`, placeOf(part), member, renamed, "trade_"+strings.ToLower(r.name[:2])+"x")}, i == 1})
			flip := map[string]string{"Y": "N", "N": "Y"}[r.required]
			want := []string{fmt.Sprintf(`%s %s required-changed %q %q`, placeOf(part), member, r.required, flip)}
			if known.required == (flip == "Y") {
				want = []string{} // the page catches up with the document
			}
			add(edit{"flip " + part + "." + r.name, func(d *doc) { d.part(part).rows[i].required = flip }, want, i == len(rows)-1 || i == 0})
			if isConstant {
				kind := "constant-changed"
				if r.name == "version" || r.name == "action" {
					kind = r.name + "-changed"
				}
				next := map[string]string{"version": "1.9", "action": "SCAN_PAY"}[r.name]
				if next == "" {
					next = "OTHER_1"
				}
				add(edit{"constant of " + part + "." + r.name, func(d *doc) { d.part(part).rows[i].notes = strings.Replace(r.notes, constant, next, 1) },
					[]string{fmt.Sprintf(`%s %s %s %q %q`, placeOf(part), member, kind, constant, next)}, true})
				if r.name == "biz_type" {
					add(edit{"one more constant of " + part + "." + r.name, func(d *doc) { d.part(part).rows[i].notes = `"WECHATPAY" or "ALIPAY"` },
						[]string{fmt.Sprintf(`%s %s %s %q %q`, placeOf(part), member, kind, constant, "WECHATPAY/ALIPAY")}, false})
					add(edit{"no constant of " + part + "." + r.name, func(d *doc) { d.part(part).rows[i].notes = `` },
						[]string{fmt.Sprintf(`%s %s %s %q ""`, placeOf(part), member, kind, constant)}, false})
				}
			} else if part != "request envelope" || i > 1 {
				length := 17
				for j, form := range []string{"Max length 17", "String(17)", "at most 17 characters", "Length: 1-17", "最大长度17", "no more than 17 digits", "up to 17 chars"} {
					if i%7 != j {
						continue
					}
					was := ""
					if n := known.longest(); n > 0 {
						was = fmt.Sprint(n)
					}
					want := []string{fmt.Sprintf(`%s %s length-changed %q "%d"`, placeOf(part), member, was, length)}
					add(edit{"length of " + part + "." + r.name + ": " + form, func(d *doc) {
						n := &d.part(part).rows[i].notes
						if *n = strings.TrimPrefix(*n+", "+form, ", "); strings.HasPrefix(form, "String(") {
							*n = form
						}
					}, want, i == 2})
				}
				for j, form := range []string{"Integer", "Number", "Int, in cents", "type: boolean"} {
					if i%4 != j {
						continue
					}
					now := []string{"integer", "number", "integer", "boolean"}[j]
					was := strings.Join(known.types, "/")
					for _, c := range slices.Concat(known.decisions, in.decisions) {
						if c.about == TypeChange && slices.Contains(c.members, member) {
							was = c.says // what the page said
						}
					}
					add(edit{"type of " + part + "." + r.name + ": " + form, func(d *doc) {
						if d.part(part).rows[i].notes = form; r.name == "currency_type" {
							d.part(part).rows[i].notes = "CAD/USD/CNY; " + form
						}
					},
						[]string{fmt.Sprintf(`%s %s type-changed %q %q`, placeOf(part), member, was, now)}, i == 2})
				}
			}
		}
	}
	return append(out, exampleEdits(base)...)
}

func exampleEdits(base doc) []edit {
	if base.bare {
		return nil
	}
	replace := func(part, old, now string) func(d *doc) {
		return func(d *doc) {
			e := &d.part(part).example
			if !strings.Contains(e.code, old) {
				panic(part + ": no " + old)
			}
			e.code = strings.Replace(e.code, old, now, 1)
		}
	}
	return []edit{
		{"example: unknown member in the request", replace("request", `"amount":"1",`, `"amount":"1",`+"\n  "+`"store_code":"A7",`), []string{`request store_code example-unknown-member "" "store_code"`}, true},
		{"example: unknown member in the callback", replace("callback", `"tip":"0",`, `"tip":"0",`+"\n "+`"fee_cny":"3",`), []string{`callback fee_cny example-unknown-member "" "fee_cny"`}, true},
		{"example: unknown member in payInfo", replace("payInfo", `"signType":"MD5",`, `"signType":"MD5",`+"\n"+`    "partnerId":"77",`), []string{`pay_info partnerId example-unknown-member "" "partnerId"`}, false},
		{"example: unknown member in an envelope", replace("answer envelope", `"rsp_msg":"success",`, `"rsp_msg":"success",`+"\n"+`"trace":"1",`), []string{`envelope trace example-unknown-member "" "trace"`}, false},
		{"example: dollars", replace("request", `"amount":"1"`, `"amount":"1.00"`), []string{`request amount example-invalid "" "1.00"`}, true},
		{"example: a number in a request", replace("request", `"amount":"1"`, `"amount":100`), []string{`request amount example-invalid "" "100"`}, false},
		{"example: another constant", replace("request", `"biz_type":"WECHATPAY"`, `"biz_type":"ALIPAY"`), []string{`request biz_type example-invalid "WECHATPAY" "ALIPAY"`}, false},
		{"example: a member gone", replace("callback", ` "finish_time":"20200416050429"`, ` "x":""`), []string{`callback finish_time example-invalid "finish_time" ""`, `callback x example-unknown-member "" "x"`}, false},
		{"example: member gone from the answer", replace("payInfo", `   "order_id":"TEST0000008",`+"\n", ``), []string{`response order_id example-invalid "order_id" ""`}, true},
		{"example: version", replace("request envelope", `"version":"1.0"`, `"version":"1.3"`), []string{`envelope version example-invalid "1.0" "1.3"`}, false},
		{"example: version catches up", replace("request envelope", `"version":"1.0"`, `"version":"1.1"`), []string{}, false},
		{"example: app_id catches up", replace("request", `"appId"`, `"app_id"`), []string{}, false},
		{"example: open_id catches up", replace("request", `"amount":"1",`, `"amount":"1", "open_id":"oZ1",`), []string{}, false},
		{"example: an amount as a text", replace("payInfo", `"amount":1,`, `"amount":"1",`), []string{}, false},
		{"example: a code", replace("answer envelope", `"SUCCESS"`, `"RISK_REJECT"`), []string{`codes RISK_REJECT code-added "" "RISK_REJECT"`}, true},
		{"table: tip catches up", func(d *doc) { d.row("request", "Tip").name = "tip" }, []string{}, true},
		{"table: Tip becomes tips", func(d *doc) { d.row("request", "Tip").name = "tips" }, []string{`request tip member-renamed "Tip" "tips"`}, false},
		{"table: the callback gets tip", func(d *doc) {
			p := d.part("callback")
			p.rows = append(p.rows, row{"tip", "Tip", "N", ""})
		}, []string{}, false},
		{"everywhere: a member renamed", func(d *doc) {
			d.row("request", "call_back_url").name = "notify_url"
			e := &d.part("request").example
			e.code = strings.Replace(e.code, "call_back_url", "notify_url", 1)
		}, []string{`request call_back_url member-renamed "call_back_url" "notify_url"`}, false},
		{"everywhere: the action", func(d *doc) {
			d.row("request envelope", "action").notes = `"MINIPAY"`
			e := &d.part("request envelope").example
			e.code = strings.Replace(e.code, "MAPPPAY", "MINIPAY", 1)
		}, []string{`envelope action action-changed "MAPPPAY" "MINIPAY"`}, true},
	}
}

// TestStyles writes each page in each style: nothing is reported.
func TestStyles(t *testing.T) {
	d := document(t)
	for _, base := range []doc{miniProgram(), h5()} {
		for j, name := range slices.Sorted(maps.Keys(styles)) {
			if raced && !*everything && j%2 != len(base.parts)%2 {
				continue // with the race detector, each style on one of the pages
			}
			text := styles[name].write(base)
			if got := say(diff(d, text)); len(got) > 0 {
				t.Errorf("%s, %d parts: got\n  %s", name, len(base.parts), strings.Join(got, "\n  "))
				dump(t, name, text)
			}
		}
	}
}

// TestEdits makes each single edit in each style: it is reported, and nothing
// else.
func TestEdits(t *testing.T) {
	d := document(t)
	tried := 0
	for _, base := range []doc{miniProgram(), h5()} {
		for i, e := range edits(d, base) {
			edited := base.clone()
			e.apply(&edited)
			slices.Sort(e.want)
			for j, name := range slices.Sorted(maps.Keys(styles)) {
				// Each edit in some of the styles, so that each style has each kind.
				if !sampled(i, j, len(styles), e) {
					continue
				}
				if (strings.Contains(name, "merged with") || name == "all tables in one") && e.border() {
					continue // whether it ends one part or begins the next, it cannot be told
				}
				if *only != "" && !strings.Contains(name, *only) {
					continue
				}
				if name == "json with ellipsis" && strings.Contains(e.name, "member gone") {
					continue // "..." stands for any member
				}
				tried++
				text := styles[name].write(edited)
				if got := say(diff(d, text)); !slices.Equal(got, e.want) {
					t.Errorf("%s, %d parts, %s: got\n  %s\nwant\n  %s", e.name, len(base.parts), name, strings.Join(got, "\n  "), strings.Join(e.want, "\n  "))
					dump(t, name, text)
				}
			}
		}
	}
	t.Logf("%d pages", tried)
}

var dumpTo = flag.String("dump", "", "directory for the pages that fail")

func dump(t *testing.T, name, text string) {
	if *dumpTo != "" {
		if err := os.WriteFile(filepath.Join(*dumpTo, strings.ReplaceAll(name, " ", "-")+".md"), []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}
