package explain

import (
	"fmt"
	"io"
	"strings"
)

// Painter colours a word. Kind is FAIL, ok or note.
type Painter func(kind, text string) string

// WriteText writes the explanation for people.
func (e *Explanation) WriteText(w io.Writer, paint Painter) error {
	if paint == nil {
		paint = func(_, text string) string { return text }
	}
	var b strings.Builder
	line := func(kind, format string, args ...any) {
		fmt.Fprintf(&b, "%s%s%s\n", paint(kind, kind), strings.Repeat(" ", 6-len(kind)), fmt.Sprintf(format, args...))
	}
	detail := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "      %-6s %s\n", name, text)
		}
	}
	if !e.OK {
		line("FAIL", "%s: %s", e.failedStep(), e.Why)
		detail("where", e.At.String())
		detail("you", e.You)
		detail("right", e.Right)
		fix := e.Fix
		if e.Doc != "" && !strings.Contains(fix, "docs/protocol.md") && fix != "" {
			fix += " (" + e.Doc + ")"
		}
		detail("fix", fix)
		detail("code", codesText(e.Codes))
		for _, f := range e.Further {
			line("FAIL", "then %s", f.Why)
			detail("where", f.At.String())
			detail("fix", f.Fix)
			detail("code", codesText(f.Codes))
		}
	}
	for _, s := range e.Steps {
		if s.OK && s.Step != StepTransport {
			line("ok", "%s: %s", s.Step, s.Text)
		}
	}
	for _, n := range e.Notes {
		line("note", "%s", n)
	}
	if e.Webhook != nil {
		reason := ""
		if e.Webhook.Reason != "" {
			reason = " (reason " + e.Webhook.Reason + ")"
		}
		line("note", "the kit's webhook would answer %d%s", e.Webhook.Status, reason)
	}
	if e.Gateway != nil {
		more := ""
		if e.Gateway.Detail != "" {
			more = ": " + e.Gateway.Detail
		}
		line("note", "the gateway would answer %s%s", e.Gateway.Code, more)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (e *Explanation) failedStep() Step {
	for _, s := range e.Steps {
		if !s.OK {
			return s.Step
		}
	}
	return info(e.Code).Step
}

func codesText(codes []Code) string {
	if len(codes) == 0 {
		return ""
	}
	s := string(codes[0])
	for i, c := range codes[1:] {
		if i == 0 {
			s += " (or "
		} else {
			s += ", "
		}
		s += string(c)
	}
	if len(codes) > 1 {
		s += ": they cannot be told apart here)"
	}
	return s
}

// String says where in words, or "".
func (a *At) String() string {
	if a == nil {
		return ""
	}
	var parts []string
	if a.Member != "" {
		parts = append(parts, a.Member)
	}
	switch {
	case a.Line > 0:
		parts = append(parts, fmt.Sprintf("line %d, column %d of the %s", a.Line, a.Column, a.In))
	case a.Offset != nil:
		parts = append(parts, fmt.Sprintf("offset %d of the %s", *a.Offset, a.In))
	}
	if a.Block > 0 {
		parts = append(parts, fmt.Sprintf("block %d of %d", a.Block, a.Blocks))
	}
	return strings.Join(parts, ", ")
}
