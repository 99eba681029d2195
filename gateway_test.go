package ottpay_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

const (
	merchant = "ON00004652"
	operator = "0000000696"
)

// far answers requests on the other side of the wire. It is the few lines that
// a test wants to misbehave; ottpaytest.Gateway is the one that behaves.
type far struct {
	*httptest.Server
	key envelope.Key

	mu       sync.Mutex
	requests []opened // what came and opened

	// answer is called for every request that opened.
	answer func(rw http.ResponseWriter, req opened)
}

// opened is a request as the gateway reads it.
type opened struct {
	envelope.Request
	data map[string]any
}

func (o opened) text(name string) string {
	s, _ := o.data[name].(string)
	return s
}

// newFar starts a server with TLS.
func newFar(t *testing.T, answer func(rw http.ResponseWriter, req opened)) *far {
	t.Helper()
	f := &far{key: newKey(t, "6698851A525C9433"), answer: answer}
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *far) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	request, err := envelope.ReadRequest(body)
	if err != nil {
		http.Error(rw, "not an envelope", http.StatusBadRequest)
		return
	}
	payload, err := f.key.Open(request.Sealed)
	if err != nil {
		http.Error(rw, "not authentic", http.StatusBadRequest)
		return
	}
	o := opened{Request: request}
	if err := json.Unmarshal(payload.JSON, &o.data); err != nil {
		http.Error(rw, "not an object", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.requests = append(f.requests, o)
	f.mu.Unlock()
	f.answer(rw, o)
}

func (f *far) seen() []opened {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// say writes an answer with data sealed; an empty data stands for none.
func (f *far) say(rw http.ResponseWriter, code, data string) {
	resp := envelope.Response{Code: code, Message: "the gateway's words"}
	if data == "" {
		_ = json.NewEncoder(rw).Encode(map[string]string{"rsp_code": resp.Code, "rsp_msg": resp.Message})
		return
	}
	var err error
	if resp.Sealed, err = f.key.Seal([]byte(data)); err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(rw).Encode(resp)
}

// config is a client's configuration for f.
func (f *far) config() ottpay.Config {
	return ottpay.Config{
		MerchantID: merchant,
		OperatorID: operator,
		Keys:       middleware.StaticKeys{merchant: {f.key}},
		BaseURL:    f.URL,
		Base:       f.Client().Transport,
	}
}

func newClient(t *testing.T, cfg ottpay.Config) *ottpay.Client {
	t.Helper()
	c, err := ottpay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newKey(t *testing.T, text string) envelope.Key {
	t.Helper()
	key, err := envelope.NewKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
