package api

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/ottpaykit/ottpay/field"
)

const redacted = "[redacted]"

// logValue returns the members that are set. It leaves out the values that may
// not be shown.
func logValue(s *Schema, v object) slog.Value {
	attrs := make([]slog.Attr, 0, len(s.Members)+1)
	for i := range s.Members {
		m := &s.Members[i]
		text := fieldText(v.slot(i))
		if text == "" {
			continue
		}
		if m.Sensitive || m.Kind == MemberJSON || m.Kind == MemberRaw {
			text = redacted
		}
		attrs = append(attrs, slog.String(m.Name, text))
	}
	if n := len(*v.rest()); n > 0 {
		attrs = append(attrs, slog.Int("additional", n))
	}
	return slog.GroupValue(attrs...)
}

// fieldText returns the text of a field, or "" if it is not set.
func fieldText(slot any) string {
	switch p := slot.(type) {
	case *string:
		return *p
	case *field.Cents:
		if *p != 0 {
			return p.String()
		}
	case **field.Cents:
		if *p != nil {
			return (*p).String()
		}
	case *json.RawMessage:
		return string(*p)
	}
	return ""
}

// text returns what logValue shows, in one line.
func text(s *Schema, v object) string { return s.Name + logValue(s, v).String() }

// format writes text for every verb, so that none shows more.
func format(f fmt.State, s *Schema, v object) { _, _ = io.WriteString(f, text(s, v)) }
