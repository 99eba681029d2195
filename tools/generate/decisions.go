package main

import (
	"net/url"

	"github.com/ottpaykit/ottpay/tools/drift"
)

// pages reads a list of the vendor's pages. None is no fault here: a request
// and an answer have those of their action.
func (b *builder) pages(where string, extension any) []string {
	var pages []string
	if extension != nil {
		b.decode(where, extension, &pages)
	}
	for _, page := range pages {
		if u, err := url.Parse(page); err != nil || u.Scheme != "https" || u.Host == "" {
			b.fault("%s: %q is not the https URL of the vendor's page", where, page)
		}
	}
	return pages
}

// decision is what was decided about a difference between the vendor's page
// and the document.
type decision struct {
	About   drift.Kind `json:"about"`
	Members []string   `json:"members"` // where it does not stand beside the member
	Pages   []string   `json:"pages"`   // actions or addresses; none: all pages
	Says    *string    `json:"says"`    // what the page says; "" where it says nothing
	Does    string     `json:"does"`
	Why     string     `json:"why"`
}

// decisions reads the decisions that stand at one place of the document.
func (b *builder) decisions(where, member string, extensions map[string]any) []decision {
	extension, ok := extensions["x-ottpay-decision"]
	if !ok {
		return nil
	}
	var out []decision
	b.decode(where+": x-ottpay-decision", extension, &out)
	for i := range out {
		switch d := &out[i]; {
		case !d.About.Decidable():
			b.fault("%s: x-ottpay-decision: about %q is not a kind of finding that can be decided", where, d.About)
		case d.Says == nil:
			b.fault("%s: x-ottpay-decision about %s: says is missing: what the page says, or the empty text", where, d.About)
		case d.Does == "" || d.Why == "":
			b.fault("%s: x-ottpay-decision about %s: does and why are missing: what the kit does, and for what reason", where, d.About)
		case member == "":
		case len(d.Members) > 0:
			b.fault("%s: x-ottpay-decision about %s: members is for decisions that do not stand beside the member", where, d.About)
		default:
			d.Members = []string{member}
		}
	}
	return out
}
