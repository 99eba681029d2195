package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// faultView is an armed fault.
type faultView struct {
	ID        int     `json:"id"`
	Name      string  `json:"name"`
	Direction string  `json:"direction"`
	Action    string  `json:"action,omitempty"`
	Merchant  string  `json:"merchant,omitempty"`
	Order     string  `json:"order,omitempty"`
	Left      int     `json:"left"` // -1: until it is disarmed
	Hits      int     `json:"hits"`
	By        string  `json:"by,omitempty"`
	Before    bool    `json:"before,omitempty"`
	Delay     string  `json:"delay,omitempty"`
	AtByte    int     `json:"at_byte,omitempty"`
	N         int     `json:"n,omitempty"`
	Status    int     `json:"status,omitempty"`
	Code      string  `json:"code,omitempty"`
	Chance    float64 `json:"chance,omitempty"`
}

func viewFault(a ottpaytest.ArmedFault) faultView {
	v := faultView{
		ID: a.ID, Name: string(a.Kind), Direction: string(ottpaytest.ToClient), Action: string(a.Action), Merchant: a.Merchant,
		Order: a.Order, Left: a.Left, Hits: a.Hits, By: a.By, Before: a.Before, AtByte: a.At, N: a.N, Status: a.Status,
		Code: string(a.Code), Chance: a.Chance,
	}
	if a.Callback != "" {
		v.Name, v.Direction = string(a.Callback), string(ottpaytest.ToShop)
	}
	if a.Delay > 0 {
		v.Delay = a.Delay.String()
	}
	return v
}

func (s *server) faults(w http.ResponseWriter, r *http.Request) error {
	merchant := r.URL.Query().Get("merchant")
	out := []faultView{}
	for _, a := range s.g.Armed() {
		if merchant == "" || a.Merchant == merchant {
			out = append(out, viewFault(a))
		}
	}
	return answer(w, http.StatusOK, struct {
		Faults []faultView `json:"faults"`
	}{out})
}

func (s *server) arm(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name      string  `json:"name"`
		Direction string  `json:"direction"`
		Action    string  `json:"action"`
		Order     string  `json:"order"`
		Merchant  string  `json:"merchant"`
		Times     int     `json:"times"`
		Delay     string  `json:"delay"`
		Before    bool    `json:"before"`
		AtByte    int     `json:"at_byte"`
		N         int     `json:"n"`
		Status    int     `json:"status"`
		Code      string  `json:"code"`
		Chance    float64 `json:"chance"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	name := in.Name
	if in.Direction != "" && !strings.Contains(name, ":") {
		name = in.Direction + ":" + name
	}
	info, ok := ottpaytest.LookupFault(name)
	if !ok || in.Direction != "" && string(info.Direction) != in.Direction {
		return unknownFault(name)
	}
	f := ottpaytest.Fault{
		Action: api.Action(in.Action), Merchant: in.Merchant, Order: in.Order, Times: in.Times, Before: in.Before, At: in.AtByte, N: in.N,
		Status: in.Status, Code: api.Code(in.Code), Chance: in.Chance, By: "api",
	}
	if info.Direction == ottpaytest.ToShop {
		f.Callback = ottpaytest.CallbackFault(info.Name)
	} else {
		f.Kind = ottpaytest.FaultKind(info.Name)
	}
	switch {
	case in.AtByte < 0:
		return negative("at_byte")
	case in.N < 0 || in.N > maxTimes:
		return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: fmt.Sprintf("n is from 1 to %d", maxTimes), Member: "n", Rule: "max"}
	case in.Status != 0 && (in.Status < 200 || in.Status > 599):
		return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "status is from 200 to 599", Member: "status", Rule: "max"}
	case in.Chance < 0 || in.Chance > 1:
		return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "chance is from 0 to 1", Member: "chance", Rule: "max"}
	}
	if in.Delay != "" {
		var err error
		if f.Delay, err = duration(in.Delay); err != nil {
			return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "delay is a time such as 10s", Member: "delay", Rule: "duration"}
		}
	}
	id, err := s.g.Arm(f)
	if err != nil {
		return err
	}
	v := faultView{ID: id}
	for _, a := range s.g.Armed() {
		if a.ID == id {
			v = viewFault(a)
		}
	}
	w.Header().Set("Location", apiPath+"/faults/"+strconv.Itoa(id))
	return answer(w, http.StatusCreated, v)
}

// unknownFault is the error for a name that is none. It names one that is like
// it.
func unknownFault(name string) error {
	p := problem{
		Status: http.StatusUnprocessableEntity, Code: "no-fault", Detail: "there is no fault " + name, Member: "name", Rule: "enum",
		Hint: "GET " + apiPath + "/faults/catalogue lists them",
	}
	bare := name
	if _, after, ok := strings.Cut(name, ":"); ok {
		bare = after
	}
	best := len(bare)/2 + 1
	for _, f := range ottpaytest.Faults() {
		switch d := distance(bare, f.Name); {
		case f.Name == name:
			p.Hint = "both directions have it: " + string(ottpaytest.ToShop) + ":" + name + " or " + string(ottpaytest.ToClient) + ":" + name
			return p
		case d < best:
			best = d
			p.Hint = "did you mean " + f.FullName() + "?"
		}
	}
	return p
}

// distance is how many letters it takes to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

func (s *server) heal(w http.ResponseWriter, r *http.Request) error {
	merchant := r.URL.Query().Get("merchant")
	for _, a := range s.g.Armed() {
		if merchant == "" || a.Merchant == merchant {
			s.g.Disarm(a.ID)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) disarm(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || !s.g.Disarm(id) {
		return problem{Status: http.StatusNotFound, Code: "no-fault", Detail: "no such fault is armed", Hint: "it may be used up: GET " + apiPath + "/events?type=fault.hit"}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) catalogue(w http.ResponseWriter, _ *http.Request) error {
	type entry struct {
		Name       string   `json:"name"`
		Direction  string   `json:"direction"`
		Group      string   `json:"group"`
		Sentence   string   `json:"sentence"`
		Correct    string   `json:"correct"`
		Parameters []string `json:"parameters,omitempty"`
		Alone      bool     `json:"alone,omitempty"`
	}
	out := []entry{}
	for _, f := range ottpaytest.Faults() {
		out = append(out, entry{f.Name, string(f.Direction), f.Group, f.Sentence, f.Correct, f.Parameters, f.Alone})
	}
	return answer(w, http.StatusOK, struct {
		Faults []entry `json:"faults"`
	}{out})
}

func (s *server) clock(w http.ResponseWriter, _ *http.Request) error {
	c := s.g.Clock()
	return answer(w, http.StatusOK, struct {
		Now        time.Time `json:"now"`
		Manual     bool      `json:"manual"`
		Adjustable bool      `json:"adjustable"`
	}{s.g.Now(), c != nil && c.Manual(), c != nil})
}

func (s *server) advance(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Advance string `json:"advance"`
		Manual  *bool  `json:"manual"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	if in.Advance == "" && in.Manual == nil {
		return problem{Status: http.StatusBadRequest, Code: "request", Detail: "advance or manual is needed", Hint: `{"advance":"15m"}`}
	}
	if in.Manual != nil {
		if err := s.g.SetManual(*in.Manual); err != nil {
			return err
		}
	}
	if in.Advance != "" {
		d, err := duration(in.Advance)
		if err != nil {
			return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "advance is a time such as 15m", Member: "advance", Rule: "duration"}
		}
		if err := s.g.Advance(d); err != nil {
			return err
		}
	}
	return s.clock(w, r)
}

func (s *server) config(w http.ResponseWriter, _ *http.Request) error {
	set := s.g.Settings()
	out := struct {
		Redelivery []string          `json:"redelivery"`
		Quirks     []string          `json:"quirks"`
		Reuse      bool              `json:"reuse"`
		Lenient    bool              `json:"lenient"`
		Rates      map[string]string `json:"rates"`
	}{Redelivery: []string{}, Quirks: (ottpaytest.AllQuirks &^ set.Without).Names(), Reuse: set.Reuse, Lenient: set.Lenient, Rates: map[string]string{}}
	for _, d := range set.Redelivery {
		out.Redelivery = append(out.Redelivery, d.String())
	}
	for currency, rate := range set.Rates {
		out.Rates[currency] = rate.Decimal()
	}
	return answer(w, http.StatusOK, out)
}

func (s *server) configure(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Redelivery *[]string          `json:"redelivery"`
		Quirks     *[]string          `json:"quirks"`
		Reuse      *bool              `json:"reuse"`
		Lenient    *bool              `json:"lenient"`
		Rates      map[string]*string `json:"rates"`
		Fee        *int64             `json:"fee_cents"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	set := s.g.Settings()
	if in.Redelivery != nil {
		set.Redelivery = []time.Duration{}
		for _, text := range *in.Redelivery {
			d, err := duration(text)
			if err != nil {
				return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "redelivery is a list of times such as 1s", Member: "redelivery", Rule: "duration"}
			}
			set.Redelivery = append(set.Redelivery, d)
		}
	}
	if in.Quirks != nil {
		on, err := ottpaytest.ParseQuirks(strings.Join(*in.Quirks, ","))
		if err != nil {
			return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: strings.TrimPrefix(err.Error(), "ottpaytest: "), Member: "quirks", Rule: "enum"}
		}
		set.Without = ottpaytest.AllQuirks &^ on
	}
	if in.Reuse != nil {
		set.Reuse = *in.Reuse
	}
	if in.Lenient != nil {
		set.Lenient = *in.Lenient
	}
	for currency, text := range in.Rates {
		if set.Rates == nil {
			set.Rates = make(map[string]field.Rate)
		}
		if text == nil {
			delete(set.Rates, currency)
			continue
		}
		rate, err := parseRate(*text)
		if err != nil {
			return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "a rate is a number such as 5.2474", Member: "rates", Rule: "rate"}
		}
		set.Rates[currency] = rate
	}
	if in.Fee != nil && *in.Fee < 0 {
		return negative("fee_cents")
	}
	s.g.Configure(set)
	if in.Fee != nil {
		for _, id := range s.g.Merchants() {
			if m, ok := s.g.MerchantInfo(id); ok {
				_ = s.g.ConfigureMerchant(id, m.Currency, field.Cents(*in.Fee)) // it may be gone by now
			}
		}
	}
	return s.config(w, r)
}

func (s *server) reset(w http.ResponseWriter, r *http.Request) error {
	if err := read(r, &struct{}{}); err != nil {
		return err
	}
	if merchant := r.URL.Query().Get("merchant"); merchant != "" {
		if err := s.g.ResetMerchant(merchant); err != nil {
			return err
		}
	} else {
		s.g.Reset()
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) record(w http.ResponseWriter, r *http.Request) error {
	merchant := r.URL.Query().Get("merchant")
	if merchant != "" {
		if _, ok := s.g.MerchantInfo(merchant); !ok {
			return ottpaytest.ErrNoMerchant
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Content-Disposition", `attachment; filename="ottpay-sandbox.ndjson"`)
	_ = s.g.Save(w, merchant) // the client is gone, then
	return nil
}

func (s *server) load(w http.ResponseWriter, r *http.Request) error {
	err := s.g.Load(r.Body)
	if errors.Is(err, ottpaytest.ErrRecord) {
		return problem{Status: http.StatusUnprocessableEntity, Code: "record", Detail: strings.TrimPrefix(err.Error(), "ottpaytest: "), Hint: "GET " + apiPath + "/record writes one"}
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// parseRate reads a rate such as 5.2474, of at most eight decimals.
func parseRate(text string) (field.Rate, error) {
	whole, part, _ := strings.Cut(text, ".")
	if whole == "" || len(part) > 8 {
		return 0, fmt.Errorf("not a rate")
	}
	c, err := field.ParseCents(whole + part + strings.Repeat("0", 8-len(part)))
	return field.Rate(c), err
}
