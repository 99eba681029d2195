package page

import (
	"slices"

	"github.com/ottpaykit/ottpay/envelope"
)

// digestParts are the texts that the digest is taken of, in their order.
func digestParts(plaintext []byte, inner []member, form envelope.Form) []digestPart {
	digested, err := envelope.DigestedMembers(plaintext, form)
	if err != nil {
		return nil
	}
	out := make([]digestPart, 0, len(digested))
	for _, d := range digested {
		part := digestPart{Name: d.Name, Text: d.Text}
		i := slices.IndexFunc(inner, func(m member) bool { return m.name == d.Name })
		if i >= 0 {
			part.N = i + 1
			if written := inner[i].text(); written != d.Text {
				part.Changed = written
			}
		}
		if secretName(d.Name) {
			part.Text, part.Changed = hidden, ""
		}
		out = append(out, part)
	}
	return out
}

// form is the canonical form of the digest in an envelope, which has opened.
func (p *page) form(merchant string, body []byte) envelope.Form {
	var sealed envelope.Sealed
	if e, err := envelope.ReadAnswer(body); err == nil {
		sealed = e.Sealed
	}
	if e, err := envelope.ReadRequest(body); err == nil {
		sealed = e.Sealed
	}
	opened, err := p.Gateway.Merchant(merchant).Open(sealed)
	if err != nil {
		return envelope.FormJava
	}
	return opened.Form
}
