package drift

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBreaking makes single edits of the document, one at a time.
func TestBreaking(t *testing.T) {
	t.Parallel()
	overlay, err := os.ReadFile(filepath.Join("..", "..", "openapi", "go.overlay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d := document(t)
	tests := []struct{ name, in, old, now, want string }{
		{"nothing", "", "", "", ""},
		{"a description", "H5PayRequest", `description: "The shop, given by OTT Pay."`, `description: The shop.`, ""},
		{"a new optional member", "H5PayRequest", "        shop_id: {", "        scene: {type: string, description: a.}\n        shop_id: {", ""},
		{"a new required member", "H5PayRequest", "required: [amount, currency_type, biz_type, operator_id, submit_type, call_back_url]\n      properties:\n", "required: [scene, amount, currency_type, biz_type, operator_id, submit_type, call_back_url]\n      properties:\n        scene: {type: string, minLength: 1, description: a.}\n", "H5PayRequest.scene"},
		{"a member gone", "H5PayRequest", "        shop_id: {", "        shop_no: {", "H5PayRequest.shop_id: the member is gone"},
		{"optional becomes required", "H5PayRequest", "required: [amount, ", "required: [shop_id, amount, ", "H5PayRequest.shop_id"},
		{"an answer's member may be absent", "ActivePayResponse", "required: [code_url, order_id]", "required: [order_id]", "may be absent now"},
		{"a request's member need not be there", "MiniProgramPayRequest", "app_id, open_id", "app_id", ""},
		{"shorter", "H5PayRequest", "shop_id: {type: string, maxLength: 64", "shop_id: {type: string, maxLength: 32", "at most 32 characters long, was 64"},
		{"longer", "H5PayRequest", "shop_id: {type: string, maxLength: 64", "shop_id: {type: string, maxLength: 128", ""},
		{"a constant", "H5PayRequest", "enum: [form]", "enum: [json]", "does not admit form any more"},
		{"one more constant", "H5PayRequest", "enum: [form]", "enum: [form, json]", ""},
		{"an alias gone", "StatusQueryResponse", "x-ottpay-aliases: [Tip], ", "", "the spelling Tip is not read any more"},
		{"an action gone", "", "\n  EX_RATE_QUERY:", "\n  EXCHANGE_RATE_QUERY:", "EX_RATE_QUERY: the action is gone"},
		{"an effect becomes a query", "", "kind: effect", "kind: query", "kind was effect and is query"},
		{"a version", "", `version: "1.1"`, `version: "1.2"`, ""},
		{"a code gone", "", "  FAIL: {", "  FAILED: {", "FAIL: the code is gone"},
		{"a code of another class", "", "FAIL: {class: failed", "FAIL: {class: unclear", "the class was failed and is unclear"},
		{"a status that is not paid any more", "", "success: {meaning: paid, paid: true", "success: {meaning: paid, paid: false", "paid was true and is false"},
		{"a type", "", "OptionalText:\n      type: [string, number, \"null\"]", "OptionalText:\n      type: [string, \"null\"]", "may not be a number any more"},
		{"a Go name", "overlay", "x-go-name: H5Pay}", "x-go-name: BrowserPay}", "H5PAY"},
		{"a Go type", "overlay", "update: {x-go-type: field.Rate}", "update: {x-go-type: string}", "Rate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source, newOverlay := string(d.source), string(overlay)
			if tt.in == "overlay" {
				newOverlay = replaceOnce(t, newOverlay, tt.old, tt.now)
			} else {
				at := 0
				if tt.in != "" {
					at = strings.Index(source, "\n    "+tt.in+":\n")
				}
				source = source[:at] + replaceOnce(t, source[at:], tt.old, tt.now)
			}
			next, err := ReadDocument("openapi/ottpay.yaml", []byte(source))
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Breaking(next, overlay, []byte(newOverlay))
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, c := range got {
				all = append(all, c.String())
			}
			text := strings.Join(all, "\n")
			if tt.want == "" && len(got) > 0 || tt.want != "" && (!strings.Contains(text, tt.want) || len(got) == 0) {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
	raised, err := ReadDocument("", []byte(strings.Replace(string(d.source), `  version: "2.0"`, `  version: "3.0"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if !d.AllowsBreaking(raised) || d.AllowsBreaking(d) || raised.AllowsBreaking(d) {
		t.Error("only a greater first number allows a breaking change")
	}
}

func replaceOnce(t *testing.T, text, old, now string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("no %q", old)
	}
	return strings.Replace(text, old, now, 1)
}
