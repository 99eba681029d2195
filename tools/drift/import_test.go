package drift

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/tools/page"
)

// empty is the document without its actions and their schemas: shared values
// and envelopes are left.
func empty(t testing.TB, d *Document) *Document {
	t.Helper()
	source := Strip(d)
	out, err := ReadDocument("openapi/ottpay.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.actions) != 0 || len(out.schemas) != 3 {
		t.Fatalf("%d actions, %d schemas", len(out.actions), len(out.schemas))
	}
	return out
}

func importPage(t testing.TB, d *Document, seedName string, o ImportOptions) (*Document, *Draft) {
	t.Helper()
	draft, err := d.Import(seedName+".md", []byte(seed(t, seedName)), o)
	if err != nil {
		t.Fatal(err)
	}
	next, err := ReadDocument("openapi/ottpay.yaml", draft.Source)
	if err != nil {
		t.Fatalf("%v\n%s", err, draft.Text)
	}
	return next, draft
}

// TestImport imports the vendor's two pages from nothing. Each page then says
// what the new document says, and the drafts differ from the document that was
// written with care only where a decision stands.
func TestImport(t *testing.T) {
	t.Parallel()
	d := document(t)
	tests := []struct {
		seed, action, name string
		schemas            map[string]string // drafted, by the curated name
	}{
		{"mini-program-payment", "MAPPPAY", "MiniProgramPay", map[string]string{"MiniProgramPayRequest": "MiniProgramPayRequest", "MiniProgramPayResponse": "MiniProgramPayResponse", "PayInfo": "PayInfo", "Notification": "Notification"}},
		{"h5-payment", "H5PAY", "H5Pay", map[string]string{"H5PayRequest": "H5PayRequest", "H5PayResponse": "H5PayResponse", "Notification": "Notification"}},
	}
	for _, tt := range tests {
		t.Run(tt.action, func(t *testing.T) {
			t.Parallel()
			address := d.action(tt.action).pages[0]
			next, draft := importPage(t, empty(t, d), tt.seed, ImportOptions{Name: tt.name, Address: address})
			p := next.Read(tt.seed, address, []byte(seed(t, tt.seed)))
			if got := say(next.Diff([]*page.Page{p}, Options{})); len(got) > 0 {
				t.Errorf("the page differs from its own draft:\n  %s\n%s", strings.Join(got, "\n  "), draft.Text)
			}
			got, want := next.action(tt.action), d.action(tt.action)
			if got == nil || got.version != want.version || !slices.Equal(got.pages, want.pages[:1]) {
				t.Fatalf("the action is drafted as %+v", got)
			}
			if len(next.schemas) != 3+len(tt.schemas) {
				t.Errorf("%d schemas are drafted: %q", len(next.schemas)-3, next.order)
			}
			for _, name := range slices.Sorted(maps.Keys(tt.schemas)) {
				compareSchemas(t, tt.action, next.schemas[name], d.schemas[tt.schemas[name]])
			}
		})
	}
}

// compareSchemas reports facts in which two schemas differ, but for members on
// which the curated one has a decision. What is on record about a member is on
// record for all of its facts: a member that is optional by decision has
// another type.
func compareSchemas(t *testing.T, action string, draft, curated *schema) {
	t.Helper()
	if draft == nil {
		t.Errorf("%s was not drafted", curated.name)
		return
	}
	onRecord := func(name string) bool {
		m := curated.named(name)
		for _, c := range curated.decisions {
			if slices.Contains(c.members, name) {
				return true
			}
		}
		return m != nil && slices.ContainsFunc(m.decisions, func(c decision) bool { return c.about != TypeChange })
	}
	facts := func(m *member) map[string]string {
		if m == nil {
			return map[string]string{"present": "no"}
		}
		pattern := ""
		if m.pattern != nil {
			pattern = m.pattern.String()
		}
		return map[string]string{
			"present": "yes", "required": fmt.Sprint(m.required), "types": strings.Join(m.types, "/"), "null": fmt.Sprint(m.nullable), "kind": m.kind, "role": m.role,
			"values": strings.Join(m.enum, "/"), "pattern": pattern, "aliases": strings.Join(m.aliases, "/"), "holds": m.holdsName,
		}
	}
	names := make(map[string]bool)
	for _, s := range []*schema{draft, curated} {
		for _, m := range s.members {
			names[m.name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		got, want := facts(draft.named(name)), facts(curated.named(name))
		if !maps.Equal(got, want) && !onRecord(name) {
			t.Errorf("%s.%s: drafted as %v, curated as %v, and no decision says why", curated.name, name, got, want)
		}
	}
}

// TestImportRefuses names what cannot be imported.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	d := document(t)
	for want, text := range map[string]string{
		"the document has the action MAPPPAY already": seed(t, "mini-program-payment"),
		"cannot be read":       "<html><body>404 Not Found</body></html>",
		"names no action":      "| Params Name | Description | Required | Notes |\n| - | - | - | - |\n| a_b | x | Y | |\n| c_d | x | N | |\n" + strings.Repeat("words ", 50),
		"no table of the requ": "# A\n\n| Params Name | Description | Required | Notes |\n| - | - | - | - |\n| action | x | Y | \"NEW_ONE\" |\n| version | x | Y | \"1.0\" |\n| data | x | Y | |\n| md5 | x | Y | |\n",
	} {
		if _, err := d.Import("x.md", []byte(text), ImportOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
