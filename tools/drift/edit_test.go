package drift

import (
	"slices"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/tools/page"
)

// changedPage is a page with a safe change in each part, and unsafe ones.
func changedPage() doc {
	p := miniProgram()
	p.part("request").rows = slices.Insert(p.part("request").rows, 2, row{"store_code", "Store's code", "N", `at most 20 characters: "A7"`})
	p.part("request").rows = append(p.part("request").rows, row{"service_fee", "Service fee", "N", "String, 100 for 1.00 dollar"})
	p.part("answer").rows = append(p.part("answer").rows, row{"store_code", "Store: its code # as sent", "N", ""})
	p.part("payInfo").rows = append([]row{{"partnerId", "Partner", "N", ""}}, p.part("payInfo").rows...)
	p.part("callback").rows = append(p.part("callback").rows, row{"surcharge_amount", "Surcharge", "N", ""}, row{"risk_level", "Risk level", "Y", ""})
	p.row("request", "app_id").description = "The mini-program’s id"
	p.row("request", "biz_type").notes = `"WECHATPAY"/"ALIPAY"`
	p.row("answer", "order_id").required = "N"
	p.part("answer envelope").example.code = strings.Replace(p.part("answer envelope").example.code, "SUCCESS", "RISK_REJECT", 1)
	return p
}

func TestApply(t *testing.T) {
	t.Parallel()
	d := document(t)
	text := styles["gitbook"].write(changedPage())
	words, err := ReadWords("", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Record(words, []*page.Page{d.Read("old.md", "", []byte(styles["gitbook"].write(miniProgram())))})
	p := d.Read("new.md", "", []byte(text))
	found := d.Diff([]*page.Page{p}, Options{Wording: true, Words: words})
	edit, err := d.Apply(found)
	if err != nil {
		t.Fatal(err)
	}
	if len(edit.Done) != 7 || len(edit.Marked) != 3 || len(edit.Open) != 0 {
		t.Errorf("done %q\nmarked %q\nopen %q", say(edit.Done), say(edit.Marked), say(edit.Open))
	}

	// Lines are added, and one description is replaced; nothing else moves.
	before, after := strings.Split(string(d.source), "\n"), strings.Split(string(edit.Source), "\n")
	var added []string
	replaced := 0
	for i := 0; len(after) > 0; after = after[1:] {
		switch {
		case i < len(before) && after[0] == before[i]:
			i++
		case i < len(before) && strings.HasPrefix(strings.TrimSpace(after[0]), "app_id:"):
			i++
			replaced++
		default:
			added = append(added, after[0])
		}
	}
	want := []string{
		`  # ottpay docs diff: constant-changed: request: biz_type: was WECHATPAY, is WECHATPAY/ALIPAY.`,
		`        store_code: {type: string, maxLength: 20, x-ottpay-sensitive: true, description: "Store's code. At most 20 characters: \"A7\"."}`,
		`        service_fee: {$ref: "#/components/schemas/RequestAmount", description: "Service fee. String, 100 for 1.00 dollar."}`,
		`        store_code: {type: [string, number, "null"], x-ottpay-kind: text, x-ottpay-sensitive: true, description: "Store: its code # as sent."}`,
		`        partnerId: {type: [string, number, "null"], x-ottpay-kind: text, x-ottpay-sensitive: true, description: Partner.}`,
		`        surcharge_amount: {$ref: "#/components/schemas/OptionalAmount", description: Surcharge.}`,
		`  RISK_REJECT: {class: unclear, message: risk reject}`,
		`# ottpay docs diff: required-changed: answer: order_id: was Y, is N.`,
		`# ottpay docs diff: member-added: callback: risk_level: risk_level.`,
	}
	for _, w := range want {
		if !slices.ContainsFunc(added, func(a string) bool { return a == w || strings.Contains(a, strings.TrimSpace(w)) }) {
			t.Errorf("no line %s in\n%s", w, strings.Join(added, "\n"))
		}
	}
	if len(added) != len(want) || replaced != 1 {
		t.Errorf("%d lines added, want %d; %d replaced", len(added), len(want), replaced)
	}

	// The applied part is silent now, and a second run marks nothing twice.
	next, err := ReadDocument("openapi/ottpay.yaml", edit.Source)
	if err != nil {
		t.Fatal(err)
	}
	rest := next.Diff([]*page.Page{next.Read("new.md", "", []byte(text))}, Options{})
	if len(rest) != 3 {
		t.Errorf("after the edit: %q", say(rest))
	}
	again, err := next.Apply(rest)
	if err != nil {
		t.Fatal(err)
	}
	if string(again.Source) != string(edit.Source) {
		t.Error("a second run changed the document")
	}
}
