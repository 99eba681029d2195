package drift

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Where is the part of a page that a finding is about.
type Where string

// The parts of a page.
const (
	InEnvelope Where = "envelope" // of a request, an answer or a callback
	InRequest  Where = "request"
	InResponse Where = "response"
	InCallback Where = "callback"
	InPayInfo  Where = "pay_info"
	InCodes    Where = "codes"
	OnPage     Where = "page"
)

// Finding is one difference between a page and the document.
type Finding struct {
	// Page is the file or URL that was read.
	Page string `json:"page"`
	// Address is the page's URL at the vendor's; "" if unknown.
	Address string `json:"address"`
	// Action is the action that the page describes; "" if unknown.
	Action string `json:"action"`
	Where  Where  `json:"where"`
	// Member is the member or code, by the document's name if it has one.
	Member string `json:"member"`
	Kind   Kind   `json:"kind"`
	// Was is what the document has, or what the page said when a decision
	// about it was recorded. Now is what the page says.
	Was string `json:"was"`
	Now string `json:"now"`
	// Line is a line of the document, from 1; 0 if there is none.
	Line int `json:"yaml_line"`
	// Decision is what was decided about the same thing while the page said
	// something else; "" if nothing was.
	Decision string `json:"decision"`

	// For people: the table and row on the page, the line of its source, the
	// schema, and more words.
	table, row, pageLine int
	schema, detail       string
	slot                 *slot
	optional             bool // of an added member
	param                *param
}

// MarshalJSON writes the documented fields and no others.
func (f Finding) MarshalJSON() ([]byte, error) {
	type plain Finding
	return json.Marshal(plain(f))
}

// Unreadable reports whether the finding says that a page could not be read.
func (f *Finding) Unreadable() bool { return f.Kind == PageUnreadable }

// sortFindings puts findings in the order of the pages, and on a page in that
// of its tables and rows.
func sortFindings(all []Finding, pages []string) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(pages, a.Page), slices.Index(pages, b.Page)),
			cmp.Compare(a.table, b.table), cmp.Compare(a.row, b.row),
		)
	})
}
