package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// api adds the routes of the API. openapi/sandbox.yaml describes them.
func (s *server) api(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /openapi.json": s.document,
		"GET /info":         s.info,

		"GET /merchants":               s.merchants,
		"POST /merchants":              s.addMerchant,
		"GET /merchants/{merchant}":    s.merchant,
		"PATCH /merchants/{merchant}":  s.changeMerchant,
		"DELETE /merchants/{merchant}": s.removeMerchant,

		"GET /orders":                            s.orders,
		"GET /orders/{merchant}/{id}":            s.order,
		"POST /orders/{merchant}":                s.create,
		"POST /orders/{merchant}/{id}/pay":       s.pay,
		"POST /orders/{merchant}/{id}/decline":   s.decline,
		"POST /orders/{merchant}/{id}/expire":    s.expire,
		"POST /orders/{merchant}/{id}/capture":   s.capture,
		"POST /orders/{merchant}/{id}/refund":    s.refund,
		"POST /orders/{merchant}/{id}/redeliver": s.redeliver,
		"POST /orders/{merchant}/{id}/replay":    s.replay,

		"GET /deliveries":     s.deliveries,
		"GET /messages/{seq}": s.message,
		"GET /events":         s.events,
		"GET /wait":           s.wait,

		"GET /faults":           s.faults,
		"POST /faults":          s.arm,
		"DELETE /faults":        s.heal,
		"DELETE /faults/{id}":   s.disarm,
		"GET /faults/catalogue": s.catalogue,

		"GET /clock":    s.clock,
		"POST /clock":   s.advance,
		"GET /config":   s.config,
		"PATCH /config": s.configure,
		"POST /reset":   s.reset,
		"GET /record":   s.record,
		"PUT /record":   s.load,

		"POST /seal": s.seal,
		"POST /open": s.open,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+apiPath+path, s.operator(s.call(h)))
	}
	mux.HandleFunc("POST "+apiPath+"/explain", s.operator(s.call(s.explain)))
}

// handler answers a call, or returns the error to be answered.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *server) call(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := h(w, r); err != nil {
			p := asProblem(err)
			if p.Status >= http.StatusInternalServerError {
				s.log(r, err)
			}
			s.fail(w, r, p)
		}
	}
}

// answer writes a JSON answer.
func answer(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	write(w, v)
	return nil
}

// read reads a JSON object into v. An empty body is an empty object. Members
// that v does not know are an error, for a misspelled one would be ignored
// otherwise.
func read(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == nil {
			err = errors.New("there is something after the object")
		}
	}
	var tooLong *http.MaxBytesError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &tooLong):
		return err
	case errors.As(err, &wrong):
		return problem{Status: http.StatusBadRequest, Code: "json", Detail: fmt.Sprintf("%s is a JSON %s and should be a %s", wrong.Field, wrong.Value, jsonKind(wrong))}
	case err != nil:
		return problem{Status: http.StatusBadRequest, Code: "json", Detail: "the body is not what this call takes: " + strings.TrimPrefix(err.Error(), "json: ")}
	}
	return nil
}

func jsonKind(e *json.UnmarshalTypeError) string {
	switch kind := e.Type.Kind().String(); {
	case strings.Contains(kind, "int"), strings.Contains(kind, "float"):
		return "number"
	case kind == "bool":
		return "boolean"
	case kind == "slice":
		return "list"
	case kind == "struct", kind == "map":
		return "object"
	}
	return "string"
}

// query reads the parameters of a GET.
type query struct {
	r   *http.Request
	err error
}

func (q *query) text(name string) string { return q.r.URL.Query().Get(name) }

func (q *query) number(name string, otherwise uint64) uint64 {
	text := q.text(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && q.err == nil {
		q.err = problem{Status: http.StatusBadRequest, Code: "parameter", Detail: name + " is a number of 0 or more"}
	}
	return n
}

func (q *query) flag(name string) bool {
	text := q.text(name)
	if text == "" {
		return false
	}
	on, err := strconv.ParseBool(text)
	if err != nil && q.err == nil {
		q.err = problem{Status: http.StatusBadRequest, Code: "parameter", Detail: name + " is true or false"}
	}
	return on
}

func (q *query) duration(name string, otherwise, most time.Duration) time.Duration {
	text := q.text(name)
	if text == "" {
		return otherwise
	}
	d, err := duration(text)
	if err != nil && q.err == nil {
		q.err = problem{Status: http.StatusBadRequest, Code: "parameter", Detail: name + " is a time such as 10s"}
	}
	return min(d, most)
}

// duration reads 10s, 1m30s, or a bare number of seconds.
func duration(text string) (time.Duration, error) {
	if n := len(text); n > 0 && '0' <= text[n-1] && text[n-1] <= '9' {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("it is negative")
	}
	return d, err
}

// knownMerchant returns the merchant of the path.
func (s *server) knownMerchant(r *http.Request) (ottpaytest.Merchant, error) {
	m := s.g.Merchant(r.PathValue("merchant")).By("api")
	if _, ok := s.g.MerchantInfo(m.ID()); !ok {
		return m, ottpaytest.ErrNoMerchant
	}
	return m, nil
}
