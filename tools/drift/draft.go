package drift

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ottpaykit/ottpay/tools/page"
)

// Words by which a member's kind is known when a page says no more.
var (
	moneyName  = regexp.MustCompile(`(?i)(^|_)(amount|amt|tip|fee)$|(?i)(Amount|Amt|Fee)$|^(total|refund)_fee$`)
	moneyWords = regexp.MustCompile(`(?i)\b100 for 1\.00|"100" for 1\.00|unit is cent|\bin cents?\b|\bcents\b|单位.{0,3}分`)
)

func isMoney(p page.Param) bool {
	return moneyName.MatchString(p.Name) || moneyWords.MatchString(p.Words())
}

// draftMember writes a member's schema as one line. Sensitive says that nothing
// is known about what it holds, so that it is never shown.
func (d *Document) draftMember(p page.Param, request, optional, sensitive bool) string {
	var parts []string
	length, limited := p.MaxLength()
	switch {
	case isMoney(p) && request && d.shared("RequestAmount"):
		parts = append(parts, `$ref: "#/components/schemas/RequestAmount"`)
		sensitive = false
	case isMoney(p) && !request && optional && d.shared("OptionalAmount"):
		parts = append(parts, `$ref: "#/components/schemas/OptionalAmount"`)
		sensitive = false
	case request:
		parts = append(parts, "type: string")
		if limited {
			parts = append(parts, fmt.Sprintf("maxLength: %d", length))
		}
	case optional:
		parts = append(parts, `type: [string, number, "null"]`, "x-ottpay-kind: text")
		if limited {
			parts = append(parts, fmt.Sprintf("maxLength: %d", length))
		}
	}
	if sensitive {
		parts = append(parts, "x-ottpay-sensitive: true")
	}
	return "{" + strings.Join(append(parts, "description: "+scalar(describe(p))), ", ") + "}"
}

// shared reports whether the document has a shared value.
func (d *Document) shared(name string) bool {
	return value(d.root, "components", "schemas", name) != nil
}
