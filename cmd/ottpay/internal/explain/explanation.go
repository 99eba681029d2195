package explain

import "fmt"

// Explanation says whether a message is well-formed, authentic and what it
// claims to be; if not, what the sender or something on the way did.
type Explanation struct {
	V    int    `json:"v"`
	Type string `json:"type"`

	// OK: nothing is wrong.
	OK bool `json:"ok"`
	// Code names the first mistake, the likeliest one if several cannot be
	// told apart. Codes are all that fit, Code among them. Both are empty if
	// OK.
	Code  Code   `json:"code,omitempty"`
	Codes []Code `json:"codes,omitempty"`
	// At is where it happened.
	At *At `json:"at,omitempty"`
	// Why says what happened, Fix what to do about it.
	Why string `json:"why,omitempty"`
	Fix string `json:"fix,omitempty"`
	// You is what the sender joined or did, Right what the rule wants.
	You   string `json:"you,omitempty"`
	Right string `json:"right,omitempty"`
	// Doc is the place in the documentation that has the rule.
	Doc string `json:"doc,omitempty"`

	// Steps are the checks that were made, in their order.
	Steps []StepResult `json:"steps"`
	// Further are mistakes that show once the first is repaired.
	Further []Mistake `json:"further,omitempty"`
	// Notes are facts that are no mistake.
	Notes []string `json:"notes,omitempty"`

	// Kind is what the message is taken for, Action the action that it names.
	Kind   Kind   `json:"kind,omitempty"`
	Action string `json:"action,omitempty"`
	// Webhook is what the kit's webhook answers, if this is posted to it as it
	// is. It is nil if the message claims to be a request.
	Webhook *WebhookAnswer `json:"webhook,omitempty"`
	// Gateway is what the sandbox's gateway answers. It is nil unless the
	// message claims to be a request.
	Gateway *GatewayAnswer `json:"gateway,omitempty"`
}

// Mistake is one thing that is wrong.
type Mistake struct {
	Code  Code   `json:"code"`
	Codes []Code `json:"codes"`
	At    *At    `json:"at,omitempty"`
	Why   string `json:"why"`
	Fix   string `json:"fix,omitempty"`
}

// At is a place in a message. Fields that do not apply are zero.
type At struct {
	// In is what offsets count in: body, data or plaintext.
	In string `json:"in,omitempty"`
	// Offset is in bytes, from zero.
	Offset *int `json:"offset,omitempty"`
	// Line and Column count from one, the column in characters.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Block and Blocks are the cipher block, from one, and how many there are.
	Block  int `json:"block,omitempty"`
	Blocks int `json:"blocks,omitempty"`
	// Member is a name in the plaintext or the envelope.
	Member string `json:"member,omitempty"`
}

// StepResult is how one check ended.
type StepResult struct {
	Step Step   `json:"step"`
	OK   bool   `json:"ok"`
	Text string `json:"text,omitempty"`
}

// WebhookAnswer is the answer of the kit's webhook, with a memory store and
// no Asker.
type WebhookAnswer struct {
	Status int    `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// GatewayAnswer is the answer of the sandbox's gateway.
type GatewayAnswer struct {
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// Kind is what a message is.
type Kind string

// The kinds.
const (
	KindRequest  Kind = "request"
	KindResponse Kind = "response"
	KindCallback Kind = "callback"
)

// mistake is what a check reports.
type mistake struct {
	step       Step
	codes      []Code // the likeliest first
	at         At
	why, fix   string
	you, right string
}

func offset(in string, at int) At { return At{In: in, Offset: &at} }

// place returns an offset with its line and column.
func place(in string, src []byte, at int) At {
	a := offset(in, at)
	a.Line, a.Column = position(src, at)
	return a
}

func (e *Explanation) fail(m mistake) {
	at := &m.at
	if m.at == (At{}) {
		at = nil
	}
	if e.Code != "" {
		for _, f := range e.Further {
			if f.Code == m.codes[0] {
				return
			}
		}
		if e.Code != m.codes[0] {
			e.Further = append(e.Further, Mistake{m.codes[0], m.codes, at, m.why, m.fix})
		}
		return
	}
	e.Code, e.Codes, e.At, e.Why, e.Fix, e.You, e.Right = m.codes[0], m.codes, at, m.why, m.fix, m.you, m.right
	if section := info(e.Code).Doc; section != "" {
		e.Doc = "docs/protocol.md, " + section
	}
	e.Steps = append(e.Steps, StepResult{m.step, false, m.why})
}

// pass notes a check that the message passed.
func (e *Explanation) pass(step Step, format string, args ...any) {
	if e.Code != "" {
		return // what comes after the first mistake is not a verdict on the message as it came
	}
	e.Steps = append(e.Steps, StepResult{step, true, fmt.Sprintf(format, args...)})
}

func (e *Explanation) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, n := range e.Notes {
		if n == text {
			return
		}
	}
	e.Notes = append(e.Notes, text)
}
