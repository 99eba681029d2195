package sandbox

import (
	_ "embed"
	"net/http"
	"os"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// openAPI is openapi/sandbox.yaml as JSON; go generate writes it.
//
//go:embed openapi.json
var openAPI []byte

func (s *server) document(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI)
	return nil
}

type merchantView struct {
	MerchantID string `json:"merchant_id"`
	OperatorID string `json:"operator_id"`
	// SignKey is shown once, of a merchant that the sandbox has made up.
	SignKey  string `json:"sign_key,omitempty"`
	Keys     int    `json:"keys"`
	Currency string `json:"currency,omitempty"`
	Fee      int64  `json:"fee_cents"`
	Orders   int    `json:"orders"`
}

func (s *server) view(id string) (merchantView, bool) {
	m, ok := s.g.MerchantInfo(id)
	if !ok {
		return merchantView{}, false
	}
	_, orders := s.g.List(ottpaytest.Query{Merchant: id, Limit: 1})
	return merchantView{
		MerchantID: m.ID, OperatorID: m.OperatorID, Keys: m.Keys, Currency: m.Currency,
		Fee: int64(m.ConvenienceFee), Orders: orders,
	}, true
}

func (s *server) allMerchants() []merchantView {
	all := []merchantView{}
	for _, id := range s.g.Merchants() {
		if v, ok := s.view(id); ok {
			all = append(all, v)
		}
	}
	return all
}

func (s *server) info(w http.ResponseWriter, r *http.Request) error {
	base := s.baseURL(r)
	return answer(w, http.StatusOK, struct {
		Version       string         `json:"version"`
		Label         string         `json:"label,omitempty"`
		PID           int            `json:"pid"`
		Started       time.Time      `json:"started"`
		Now           time.Time      `json:"now"`
		Seq           uint64         `json:"seq"`
		Gateway       string         `json:"gateway"`
		API           string         `json:"api"`
		Page          string         `json:"page,omitempty"`
		CallbackTo    string         `json:"callback_to,omitempty"`
		AllowCallback []string       `json:"allow_callback,omitempty"`
		Merchants     []merchantView `json:"merchants"`
	}{
		Version: s.cfg.Version, Label: s.cfg.Label, PID: os.Getpid(), Started: s.started.UTC().Truncate(time.Second),
		Now: s.g.Now(), Seq: s.g.Seq(), Gateway: base + "/processV2", API: base + apiPath, Page: s.pageURL(base),
		CallbackTo: s.cfg.CallbackTo, AllowCallback: s.cfg.AllowCallback, Merchants: s.allMerchants(),
	})
}

// baseURL is the sandbox as the client of a request calls it.
func (s *server) baseURL(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host + s.cfg.Base
	}
	return "http://" + r.Host + s.cfg.Base
}

func (s *server) pageURL(base string) string {
	if s.page == nil {
		return ""
	}
	return base + "/"
}

func (s *server) merchants(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, struct {
		Merchants []merchantView `json:"merchants"`
	}{s.allMerchants()})
}

func (s *server) merchant(w http.ResponseWriter, r *http.Request) error {
	v, ok := s.view(r.PathValue("merchant"))
	if !ok {
		return ottpaytest.ErrNoMerchant
	}
	return answer(w, http.StatusOK, v)
}

func (s *server) addMerchant(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		MerchantID string `json:"merchant_id"`
		OperatorID string `json:"operator_id"`
		SignKey    string `json:"sign_key"`
		Currency   string `json:"currency"`
		Fee        int64  `json:"fee_cents"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	if in.Fee < 0 {
		return negative("fee_cents")
	}
	c := ottpaytest.MerchantConfig{
		ID: in.MerchantID, OperatorID: in.OperatorID, Currency: in.Currency, ConvenienceFee: field.Cents(in.Fee),
	}
	if in.SignKey != "" {
		c.SignKeys = []string{in.SignKey}
	}
	made, err := s.g.AddMerchant(c)
	if err != nil {
		return err
	}
	s.added(made)
	v, _ := s.view(made.ID)
	if in.SignKey == "" {
		v.SignKey = made.SignKeys[0]
	}
	w.Header().Set("Location", apiPath+"/merchants/"+made.ID)
	return answer(w, http.StatusCreated, v)
}

func (s *server) changeMerchant(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Currency *string `json:"currency"`
		Fee      *int64  `json:"fee_cents"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	id := r.PathValue("merchant")
	m, ok := s.g.MerchantInfo(id)
	if !ok {
		return ottpaytest.ErrNoMerchant
	}
	if in.Currency != nil {
		m.Currency = *in.Currency
	}
	if in.Fee != nil {
		if *in.Fee < 0 {
			return negative("fee_cents")
		}
		m.ConvenienceFee = field.Cents(*in.Fee)
	}
	if err := s.g.ConfigureMerchant(id, m.Currency, m.ConvenienceFee); err != nil {
		return err
	}
	return s.merchant(w, r)
}

func (s *server) removeMerchant(w http.ResponseWriter, r *http.Request) error {
	if !s.g.RemoveMerchant(r.PathValue("merchant")) {
		return ottpaytest.ErrNoMerchant
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func negative(member string) problem {
	return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: member + " must not be negative", Member: member, Rule: "min"}
}
