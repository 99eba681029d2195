package sandbox

import (
	"net/http"
	"slices"
	"sync"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// SignKey is a key that messages are explained with.
type SignKey struct {
	// Merchant is whose key it is.
	Merchant string
	// From says where the key was found, such as OTTPAY_SIGN_KEY.
	From string
	// Text returns the key. It is a function so that no formatting shows it.
	Text func() string
}

// explainer explains messages with all the keys that it was given. The zero
// value has none. It is safe for concurrent use.
type explainer struct {
	mu   sync.Mutex
	keys []explain.Key
	made *explain.Explainer // of keys
}

// add adds keys. It fails if one of them cannot be a key, and adds none then.
func (x *explainer) add(keys ...SignKey) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := slices.Clone(x.keys)
	for _, k := range keys {
		all = append(all, explain.Key{Merchant: k.Merchant, From: k.From, Text: k.Text})
	}
	made, err := explain.New(explain.Config{Keys: all})
	if err != nil {
		return err
	}
	x.keys, x.made = all, made
	return nil
}

func (x *explainer) with(message []byte, opt explain.Options) *explain.Explanation {
	x.mu.Lock()
	made := x.made
	x.mu.Unlock()
	return made.Explain(message, opt)
}

// explain is for the page.
func (x *explainer) explain(message, against []byte) *explain.Explanation {
	return x.with(message, explain.Options{Against: against})
}

// added takes over the keys of a merchant that was added while the sandbox runs.
func (s *server) added(m ottpaytest.MerchantConfig) {
	for _, text := range m.SignKeys {
		_ = s.explainer.add(SignKey{ // the Gateway has taken it: it is one
			Merchant: m.ID, From: "this sandbox", Text: func() string { return text },
		})
	}
}

func (s *server) explain(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Input   string       `json:"input"`
		Against string       `json:"against"`
		Kind    explain.Kind `json:"kind"`
		Redact  bool         `json:"redact"`
	}
	if err := read(r, &in); err != nil {
		return err
	}
	switch in.Kind {
	case "", explain.KindRequest, explain.KindResponse, explain.KindCallback:
	default:
		return problem{Status: http.StatusUnprocessableEntity, Code: "value", Detail: "kind is request, response or callback", Member: "kind", Rule: "enum"}
	}
	if in.Input == "" {
		return problem{Status: http.StatusBadRequest, Code: "request", Detail: "input is needed"}
	}
	return answer(w, http.StatusOK, s.explainer.with([]byte(in.Input), explain.Options{
		Kind: in.Kind, Against: []byte(in.Against), Redact: in.Redact,
	}))
}
