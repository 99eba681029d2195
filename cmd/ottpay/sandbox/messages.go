package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// bodyView is what went over the wire in one direction.
type bodyView struct {
	// Wire is the body, or WireBase64 if it is not text.
	Wire       *string `json:"wire,omitempty"`
	WireBase64 string  `json:"wire_base64,omitempty"`
	// Plaintext is the decrypted data, as it was written; absent if it does not
	// open.
	Plaintext string `json:"plaintext,omitempty"`
}

func viewBody(body, plaintext []byte) bodyView {
	v := bodyView{Plaintext: string(plaintext)}
	if utf8.Valid(body) {
		text := string(body)
		v.Wire = &text
	} else {
		v.WireBase64 = base64.StdEncoding.EncodeToString(body)
	}
	return v
}

func (s *server) message(w http.ResponseWriter, r *http.Request) error {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	m, ok := s.g.Message(seq)
	if err != nil || !ok {
		return problem{
			Status: http.StatusNotFound, Code: "no-message", Detail: "there is no message " + r.PathValue("seq"),
			Hint: "the last 10000 are kept; only request.received and delivery.sent have one",
		}
	}
	type answered struct {
		Status int `json:"status"`
		bodyView
	}
	out := struct {
		Seq        uint64              `json:"seq"`
		At         time.Time           `json:"at"`
		Kind       string              `json:"kind"`
		Merchant   string              `json:"merchant,omitempty"`
		Order      string              `json:"order,omitempty"`
		Action     string              `json:"action,omitempty"`
		Version    string              `json:"version,omitempty"`
		TerminalNo string              `json:"terminal_no,omitempty"`
		OperatorID string              `json:"operator_id,omitempty"`
		Method     string              `json:"method"`
		URL        string              `json:"url"`
		Header     map[string][]string `json:"header"`
		bodyView
		Answer  *answered `json:"answer,omitempty"`
		Code    string    `json:"code,omitempty"`
		MS      int64     `json:"ms"`
		Fault   string    `json:"fault,omitempty"`
		Lenient []string  `json:"lenient,omitempty"`
		Member  string    `json:"member,omitempty"`
		Rule    string    `json:"rule,omitempty"`
		Why     string    `json:"why,omitempty"`
		Verdict string    `json:"verdict,omitempty"`
		// Digest is that of the plaintext, step by step.
		Digest *digestView `json:"digest,omitempty"`
	}{
		Seq: m.Seq, At: m.At, Kind: "request", Merchant: m.Merchant, Order: m.Order, Action: m.Action, Version: m.Version,
		TerminalNo: m.TerminalNo, OperatorID: m.OperatorID, Method: m.Method, URL: m.URL, Header: m.Header,
		bodyView: viewBody(m.Body, m.Plaintext), Code: m.Code, MS: m.MS, Fault: m.Fault, Lenient: m.Lenient,
		Member: m.Member, Rule: m.Rule, Why: m.Err, Verdict: m.Verdict, Digest: s.digest(m),
	}
	if m.Callback {
		out.Kind = "callback"
	}
	if out.Header == nil {
		out.Header = map[string][]string{}
	}
	if m.Status != 0 {
		out.Answer = &answered{m.Status, viewBody(m.Answer, m.AnswerPlaintext)}
	}
	return answer(w, http.StatusOK, out)
}

// digestView is how a digest is computed: the members in the order of their
// names, the texts of their values, those joined, and the MD5 of that.
type digestView struct {
	Order  []string `json:"order"`
	Texts  []string `json:"texts"`
	Joined string   `json:"joined"`
	MD5    string   `json:"md5"`
	Form   string   `json:"form"`
}

// digest returns that of a message, nil if it does not open.
func (s *server) digest(m ottpaytest.Message) *digestView {
	if m.Plaintext == nil || m.Action == string(ottpaytest.ActionInAppPay) {
		return nil
	}
	var sealed envelope.Sealed
	if m.Callback {
		e, err := envelope.ReadResponse(m.Body)
		if err != nil {
			return nil
		}
		sealed = e.Sealed
	} else {
		e, err := envelope.ReadRequest(m.Body)
		if err != nil {
			return nil
		}
		sealed = e.Sealed
	}
	opened, err := s.g.Merchant(m.Merchant).Open(sealed)
	if err != nil {
		return nil
	}
	all, err := envelope.DigestedMembers(opened.Plaintext, opened.Form)
	if err != nil {
		return nil
	}
	v := &digestView{Order: []string{}, Texts: []string{}, MD5: sealed.MD5, Form: opened.Form.String()}
	for _, d := range all {
		v.Order, v.Texts, v.Joined = append(v.Order, d.Name), append(v.Texts, d.Text), v.Joined+d.Text
	}
	return v
}

// seal encrypts what a test in another language wants to compare with, or to
// send.
func (s *server) seal(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Merchant  string          `json:"merchant"`
		Data      json.RawMessage `json:"data"`
		Plaintext string          `json:"plaintext"`
		As        string          `json:"as"`
		Action    string          `json:"action"`
		Version   string          `json:"version"`
		Code      string          `json:"code"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	plaintext := []byte(in.Plaintext)
	if in.Plaintext == "" {
		plaintext = in.Data
	}
	if len(plaintext) == 0 {
		return problem{Status: http.StatusBadRequest, Code: "request", Detail: "data or plaintext is needed"}
	}
	sealed, err := s.g.Merchant(in.Merchant).Seal(plaintext)
	if err != nil {
		return err
	}
	out := struct {
		Data     string `json:"data"`
		MD5      string `json:"md5"`
		Envelope any    `json:"envelope,omitempty"`
	}{Data: sealed.Data, MD5: sealed.MD5}
	switch in.As {
	case "", "data":
	case "request":
		out.Envelope = envelope.Request{Action: in.Action, Version: in.Version, MerchantID: in.Merchant, Sealed: sealed}
	case "response", "callback":
		if in.Code == "" {
			in.Code = "SUCCESS"
		}
		out.Envelope = envelope.Response{Code: in.Code, Message: "success", MerchantID: in.Merchant, Sealed: sealed}
	default:
		return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "as is data, request, response or callback", Member: "as", Rule: "enum"}
	}
	return answer(w, http.StatusOK, out)
}

// open decrypts an envelope.
func (s *server) open(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Merchant string          `json:"merchant"`
		Envelope json.RawMessage `json:"envelope"`
		Data     string          `json:"data"`
		MD5      string          `json:"md5"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	sealed := envelope.Sealed{Data: in.Data, MD5: in.MD5}
	if len(in.Envelope) > 0 {
		e, err := envelope.ReadResponse(in.Envelope)
		if err != nil {
			return problem{Status: http.StatusUnprocessableEntity, Code: "malformed", Detail: "it is no envelope: " + envelope.Reason(err), Hint: "POST " + apiPath + "/explain says more"}
		}
		sealed = e.Sealed
		if in.Merchant == "" {
			in.Merchant = e.MerchantID
		}
	}
	opened, err := s.g.Merchant(in.Merchant).Open(sealed)
	if err != nil {
		p := asProblem(err)
		if p.Code == "request" {
			p = problem{Status: http.StatusUnprocessableEntity, Code: "not-authentic", Detail: "it does not open with a key of " + in.Merchant, Hint: "POST " + apiPath + "/explain says why"}
		}
		return p
	}
	return answer(w, http.StatusOK, struct {
		Merchant  string          `json:"merchant"`
		Key       int             `json:"key"`
		Keys      int             `json:"keys"`
		Form      string          `json:"form"`
		Plaintext string          `json:"plaintext"`
		Data      json.RawMessage `json:"data"`
	}{in.Merchant, opened.Key, opened.Keys, opened.Form.String(), string(opened.Plaintext), opened.Plaintext})
}
