package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// problem is an error answer (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"` // a word of the list in openapi/sandbox.yaml
	Hint   string `json:"hint,omitempty"`

	// Member and Rule say what of the document a request breaks.
	Member string `json:"member,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// State is the order's, of a 409.
	State string `json:"state,omitempty"`
	// Message is the number of the message, if there is one.
	Message uint64 `json:"message,omitempty"`
	// Events are what happened instead, of a 408.
	Events []ottpaytest.Event `json:"events,omitempty"`
}

// Error is for code that returns a problem.
func (p problem) Error() string { return p.Detail }

// Unwrap is nothing: a problem is an end.
func (p problem) Unwrap() error { return nil }

func (s *server) fail(w http.ResponseWriter, _ *http.Request, p problem) {
	p.Type = "about:blank"
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	write(w, p)
}

// write writes JSON, with characters such as & as they are.
func write(w http.ResponseWriter, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client is gone, then
}

// asProblem turns an error of the gateway's into an answer.
func asProblem(err error) problem {
	var p problem
	var tooLong *http.MaxBytesError
	detail := strings.TrimPrefix(err.Error(), "ottpaytest: ")
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLong):
		return problem{Status: http.StatusRequestEntityTooLarge, Code: "too-large", Detail: fmt.Sprintf("the body is longer than %d bytes", tooLong.Limit)}
	case errors.Is(err, ottpaytest.ErrNoMerchant):
		return problem{Status: http.StatusNotFound, Code: "no-merchant", Detail: "there is no such merchant", Hint: "POST " + apiPath + "/merchants makes one"}
	case errors.Is(err, ottpaytest.ErrNoOrder):
		return problem{Status: http.StatusNotFound, Code: "no-order", Detail: "there is no such order"}
	case errors.Is(err, ottpaytest.ErrState):
		return problem{Status: http.StatusConflict, Code: "state", Detail: strings.TrimPrefix(detail, "not in this state: ")}
	}
	return problem{Status: http.StatusBadRequest, Code: "request", Detail: detail}
}
