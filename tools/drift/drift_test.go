package drift

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/tools/page"
)

func seed(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "pages", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestSeeds compares the vendor's two complete pages with the document: every
// difference is on record.
func TestSeeds(t *testing.T) {
	t.Parallel()
	d := document(t)
	for _, name := range []string{"mini-program-payment", "h5-payment"} {
		if got := say(diff(d, seed(t, name))); len(got) > 0 {
			t.Errorf("%s: got\n  %s", name, strings.Join(got, "\n  "))
		}
	}
}

// TestModels looks that the pages of the mutation tests are the vendor's.
func TestModels(t *testing.T) {
	t.Parallel()
	d := document(t)
	for name, base := range map[string]doc{"mini-program-payment": miniProgram(), "h5-payment": h5()} {
		var got, want [][]string
		for _, p := range d.Read("", "", []byte(seed(t, name))).Tables {
			for _, r := range p.Params {
				got = append(got, []string{r.Name, r.Description, string(r.Required), r.Notes})
			}
		}
		for _, p := range base.parts {
			for _, r := range p.rows {
				want = append(want, []string{r.name, r.description, r.required, unlink(r.notes)})
			}
		}
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: the seed has\n%q\nthe model\n%q", name, got, want)
		}
	}
}

// TestDecisions takes each decision away that the two pages need: the difference
// is reported. With another text in it, it is reported with the decision.
func TestDecisions(t *testing.T) {
	t.Parallel()
	d := document(t)
	pages := []string{seed(t, "mini-program-payment"), seed(t, "h5-payment")}
	report := func() []string {
		var all []string
		for _, text := range pages {
			all = append(all, say(diff(d, text))...)
		}
		return all
	}
	tried := 0
	try := func(list []decision) {
		for i := range list {
			was := list[i]
			list[i].about = "nothing"
			if len(report()) == 0 {
				list[i] = was
				continue // about pages that are not here
			}
			tried++
			list[i] = was
			list[i].says += "?"
			found := diff(d, pages[0])
			found = append(found, diff(d, pages[1])...)
			if !slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.Decision, was.why) }) {
				t.Errorf("line %d: the decision is not repeated when the page says something else: %s", was.line, strings.Join(say(found), "; "))
			}
			list[i] = was
		}
	}
	for _, name := range []string{"RequestEnvelope", "ResponseEnvelope", "NotificationEnvelope", "MiniProgramPayRequest", "MiniProgramPayResponse", "PayInfo", "H5PayRequest", "H5PayResponse", "Notification"} {
		try(d.schemas[name].decisions)
	}
	for _, a := range d.actions {
		try(a.decisions)
	}
	if tried < 12 {
		t.Errorf("only %d decisions matter for the two pages", tried)
	}
}

// TestUnreadable reads what is no page: one finding, and nothing is removed.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	d := document(t)
	mini, h5 := seed(t, "mini-program-payment"), seed(t, "h5-payment")
	tests := map[string]string{
		"empty":                       "",
		"blank":                       " \n\t\r\n\ufeff",
		"an HTML error page":          "<!DOCTYPE html><html><head><title>404 Not Found</title></head><body><h1>Not Found</h1><p>The requested URL was not found on this server.</p></body></html>",
		"nginx":                       "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
		"a page that needs a browser": "<!doctype html><html><head><script src=app.js></script></head><body><div id=root></div><noscript>Enable JavaScript</noscript></body></html>",
		"a captcha":                   "<html><body><h1>Just a moment...</h1><p>Checking your browser before accessing docs.ottpay.com</p></body></html>",
		"GitBook's 404":               "# Page not found\n\nThe page you are looking for doesn't exist.\n",
		"JSON":                        `{"error":{"code":404,"message":"Not found"}}`,
		"plain words":                 "Internal Server Error",
		"a title alone":               "# Payment Request API\n",
		"binary":                      "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\xff\xfe\xfd" + strings.Repeat("\xff\x00", 500),
	}
	for _, n := range []int{2, 3, 5, 10} {
		tests["mini cut at 1/"+string(rune('0'+n%10))] = mini[:len(mini)/n]
		tests["h5 cut at 1/"+string(rune('0'+n%10))] = h5[:len(h5)/n]
	}
	for cut := 200; cut < len(mini)-900; cut += 97 {
		tests["mini cut at "+string(rune(cut))] = mini[:cut]
	}
	for cut := 100; cut < len(h5)-350; cut += 53 {
		tests["h5 cut at "+string(rune(cut))] = h5[:cut]
	}
	for name, text := range tests {
		got := diff(d, text)
		if len(got) != 1 || got[0].Kind != PageUnreadable || got[0].Where != OnPage || got[0].Now == "" {
			t.Errorf("%q (%d bytes): got %q", name, len(text), say(got))
		}
	}
}

// TestUnknownAction reads pages of actions that the document lacks.
func TestUnknownAction(t *testing.T) {
	t.Parallel()
	d := document(t)
	voided := miniProgram()
	voided.title = "Void API"
	voided.parts = voided.parts[:4]
	voided.parts[0].rows[0].notes = `"VOID_PAY"`
	voided.parts[0].example.code = strings.Replace(voided.parts[0].example.code, "MAPPPAY", "VOID_PAY", 1)
	voided.parts[1].rows = []row{{"void_id", "Void ID", "Y", ""}, {"ori_pay_id", "The payment", "Y", ""}, {"reason", "Why", "N", "at most 64 characters"}}
	voided.parts[1].example.code = `{"void_id":"V1","ori_pay_id":"P1"}`
	voided.parts[3].rows = []row{{"void_id", "Void ID", "Y", ""}, {"void_state", "State", "Y", ""}}
	similar := h5()
	similar.row("request envelope", "action").notes = "“WAPPAY”"
	similar.part("request").rows = append(similar.part("request").rows[2:], row{"device", "Device", "Y", ""}, row{"scene", "Scene", "N", ""})
	similar.part("answer").rows = append(similar.part("answer").rows[:4], row{"mweb_url", "Link", "Y", ""})
	for _, name := range []string{"gfm", "gitbook", "copied text", "html page", "chinese"} {
		for want, p := range map[string]doc{"VOID_PAY": voided, "WAPPAY": similar} {
			got := diff(d, styles[name].write(p))
			if len(got) != 1 || got[0].Kind != PageWithoutSchema || got[0].Now != want || got[0].Action != want {
				t.Errorf("%s, %s: got %q", want, name, say(got))
			}
		}
	}
}

// TestAddress gives a page its action by where it lies.
func TestAddress(t *testing.T) {
	t.Parallel()
	d := document(t)
	base := h5()
	base.row("request envelope", "action").notes = "“H5PAY2”"
	base.part("request").rows = append(base.part("request").rows, row{"a1", "", "N", ""}, row{"a2", "", "N", ""})
	text := []byte(styles["gfm"].write(base))
	const address = "https://docs.ottpay.com/payment-api/api-for-mobile-browser-with-wechat/payment-request-api"
	want := []string{`envelope action action-changed "H5PAY" "H5PAY2"`, `request a1 member-added "" "a1"`, `request a2 member-added "" "a2"`}
	for _, at := range [][2]string{{address, address}, {address + ".md", address + ".md"}, {"pages/payment-api/api-for-mobile-browser-with-wechat/payment-request-api.md", ""}, {"x.md", address + "?x=1#y"}} {
		got := d.Diff([]*page.Page{d.Read(at[0], at[1], text)}, Options{})
		if !slices.Equal(say(got), want) || got[0].Address == "" {
			t.Errorf("%q: got %q", at, say(got))
		}
	}
	if got := diff(d, string(text)); len(got) != 1 || got[0].Kind != PageWithoutSchema {
		t.Errorf("without an address: got %q", say(got))
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	d := document(t)
	text := "# Appendix B\n\n| Code | Message |\n| --- | --- |\n"
	for i, c := range d.codes {
		if i != 3 {
			text += "| " + c.name + " | " + strings.ToLower(c.name) + " |\n"
		}
	}
	text += "| RISK_REJECT | rejected by risk control |\n"
	want := []string{`codes ` + d.codes[3].name + ` code-removed "` + d.codes[3].name + `" ""`, `codes RISK_REJECT code-added "" "RISK_REJECT"`}
	if slices.Sort(want); !slices.Equal(say(diff(d, text)), want) {
		t.Errorf("got %q, want %q", say(diff(d, text)), want)
	}
}

func TestAll(t *testing.T) {
	t.Parallel()
	d := document(t)
	pages := []*page.Page{d.Read("a.md", "", []byte(seed(t, "mini-program-payment"))), d.Read("b.md", "", []byte(seed(t, "h5-payment")))}
	found := d.Diff(pages, Options{All: true})
	if len(found) != 2*(len(d.actions)-2) {
		t.Errorf("%d findings, want the request and the answer of %d actions", len(found), len(d.actions)-2)
	}
	for _, f := range found {
		if f.Kind != SchemaWithoutPage || f.Line == 0 || f.Action == "MAPPPAY" || f.Action == "H5PAY" {
			t.Errorf("got %q", say([]Finding{f}))
		}
	}
}

// TestFields looks that an object of --json has the documented members, and no
// others.
func TestFields(t *testing.T) {
	t.Parallel()
	d := document(t)
	text := strings.Replace(seed(t, "h5-payment"), "shop_id | Shop ID | N", "shop_id | Shop ID | Y", 1)
	var b bytes.Buffer
	if err := WriteJSON(&b, diff(d, text)); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	line := d.action("H5PAY").request.named("shop_id").line
	want := map[string]any{
		"page": "page.md", "address": "https://docs.ottpay.com/payment-api/api-for-mobile-browser-with-wechat/payment-request-api", "action": "H5PAY", "where": "request",
		"member": "shop_id", "kind": "required-changed", "was": "N", "now": "Y", "yaml_line": float64(line), "decision": "",
	}
	if len(got) != len(want) {
		t.Errorf("got %d members: %s", len(got), b.String())
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: got %v, want %v", k, got[k], v)
		}
	}
	if strings.Count(b.String(), "\n") != 1 {
		t.Errorf("not one line: %q", b.String())
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	d := document(t)
	text := strings.Replace(seed(t, "h5-payment"), "“form” | Y", "", 1)
	text = strings.Replace(text, "submit_type | format | Y | “form”", "submit_type | format | Y | “j,s:on\u202e%”", 1)
	found := diff(d, text)
	if len(found) != 1 {
		t.Fatalf("got %q", say(found))
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":   func(b *bytes.Buffer) error { return d.Report(b, found) },
		"github": func(b *bytes.Buffer) error { return d.WriteGitHub(b, found) },
		"sarif":  func(b *bytes.Buffer) error { return d.WriteSARIF(b, found) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range map[string][]string{
			"text":   {"page.md", "H5PAY", "constant-changed", "submit_type", "table 2, row 9", "was", "form", "j,s:on%", "openapi/ottpay.yaml:", "to do"},
			"github": {"::warning file=openapi/ottpay.yaml,line=", "title=constant-changed::", "j,s:on%25"},
			"sarif":  {`"version": "2.1.0"`, `"ruleId": "constant-changed"`, `"startLine":`, `"finding/v1"`},
		}[name] {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, b.String())
			}
		}
	}
}

// TestJudge compares the judge of examples with the verdicts of the generator's
// fixtures, on which JSON Schema and the struct tags agree.
func TestJudge(t *testing.T) {
	t.Parallel()
	d := document(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "gen", "api", "testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	judged := 0
	for _, file := range files {
		s := d.schemas[strings.TrimSuffix(filepath.Base(file), ".json")]
		if s == nil {
			t.Errorf("%s: no schema", file)
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var all []struct {
			Name  string
			Valid bool
			JSON  map[string]json.RawMessage
		}
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if strings.HasSuffix(f.Name, ": card data") {
				continue // a rule about names, not values
			}
			valid := true
			for _, m := range s.members {
				raw, ok := f.JSON[m.name]
				valid = valid && (ok || !m.required) && (!ok || m.refuses(valueOf(raw)) == "")
			}
			if len(s.oneOf) > 0 {
				valid = valid && slices.ContainsFunc(s.oneOf, func(name string) bool { return len(f.JSON[name]) > 2 })
			}
			if judged++; valid != f.Valid {
				t.Errorf("%s, %s: got %v", s.name, f.Name, valid)
			}
		}
	}
	if judged < 500 {
		t.Errorf("only %d fixtures", judged)
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "when-the-docs-change.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds() {
		if k.Text() == "" || !strings.Contains(string(docs), "| `"+string(k)+"` | "+k.Text()) {
			t.Errorf("docs/when-the-docs-change.md does not list %s: %s", k, k.Text())
		}
		if (&Finding{Kind: k}).ToDo() == "" {
			t.Errorf("%s: nothing to do", k)
		}
	}
}
