package crosstest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/middleware"
)

// spy keeps what it sees and judges it at the end.
type spy struct {
	mu    sync.Mutex
	seen  map[string]string // text to where it was seen first
	wild  map[string]string // the same, for eyes that must not see finches
	cages map[string]bool   // ciphertexts and digests that were on the wire
}

func newSpy() *spy {
	return &spy{seen: map[string]string{}, wild: map[string]string{}, cages: map[string]bool{}}
}

// see keeps what the shop's own people read: logs, errors, formatted values.
func (s *spy) see(where, text string) { s.keep(s.seen, where, text) }

// public keeps what others read: answers to strangers, spans, metrics.
func (s *spy) public(where, text string) { s.keep(s.wild, where, text) }

func (s *spy) keep(in map[string]string, where, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := in[text]; !ok {
		in[text] = where
	}
}

// Write takes a log line.
func (s *spy) Write(line []byte) (int, error) {
	s.see("log", string(line))
	return len(line), nil
}

// wire takes a message as it goes over the wire: its ciphertext and its digest
// must not be readable.
func (s *spy) wire(body []byte) {
	var sealed struct{ Data, MD5 any }
	if json.Unmarshal(body, &sealed) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if data, ok := sealed.Data.(string); ok && len(data) >= 32 {
		s.cages[strings.ToLower(data[:32])] = true
	}
	if md5, ok := sealed.MD5.(string); ok && len(md5) == 32 {
		s.cages[strings.ToLower(md5)] = true
	}
}

// value formats v in every way in which it might come into a log.
func (s *spy) value(where string, v any) {
	s.formats(where, v)
	slog.New(slog.NewTextHandler(s, nil)).Info(where, "v", v)
	slog.New(slog.NewJSONHandler(s, nil)).Info(where, "v", v)
}

func (s *spy) formats(where string, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		s.see(where+" "+verb, fmt.Sprintf(verb, v))
		s.see(where+" "+verb+" in a slice", fmt.Sprintf(verb, []any{v}))
	}
	if elem := reflect.ValueOf(v); elem.Kind() == reflect.Pointer && !elem.IsNil() && elem.Elem().CanInterface() &&
		strings.HasPrefix(elem.Elem().Type().PkgPath(), "github.com/ottpaykit/") && !holdsLock(elem.Elem().Type()) {
		for _, verb := range []string{"%v", "%+v", "%s"} {
			s.see(where+" value "+verb, fmt.Sprintf(verb, elem.Elem().Interface()))
		}
	}
}

// holdsLock reports whether copying a value of t would copy a lock, which go vet
// forbids a shop, and which is a data race with whatever holds it.
func holdsLock(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return holdsLock(t.Elem())
	case reflect.Struct:
		if t.PkgPath() == "sync" || t.PkgPath() == "sync/atomic" {
			return true
		}
		for i := range t.NumField() {
			if holdsLock(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// failure takes an error.
func (s *spy) failure(where string, err error) {
	if err == nil {
		return
	}
	s.value(where, err)
	s.see(where, err.Error())
	if e := new(ottpay.Error); errors.As(err, &e) {
		s.value(where, e)
	}
	if e := new(middleware.Refusal); errors.As(err, &e) {
		s.value(where, e)
	}
	if e := new(middleware.SendError); errors.As(err, &e) {
		s.value(where, e)
	}
}

// spellings are what a bird looks like, in lower case: plain, in Base64 at each
// offset, in hexadecimal and as bytes that were printed.
func spellings(bird string) []string {
	all := []string{
		strings.ToLower(bird),
		fmt.Sprintf("%x", bird),
		strings.Trim(fmt.Sprintf("%d", []byte(bird)), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(bird)), "[]byte{"), "}"),
	}
	for offset := range 3 { // less the letters that its neighbours have a part in
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, offset), bird...))
		all = append(all, strings.ToLower(text[(8*offset+5)/6:8*(offset+len(bird))/6]))
	}
	return all
}

// found returns where birds and ciphertexts were seen.
func (s *spy) found() (leaks []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret := append(spellings(canary), merCode)
	look := func(texts map[string]string, words []string) {
		for text, where := range texts {
			lower := strings.ToLower(text)
			at := s.caged(lower)
			for _, word := range words {
				if at < 0 {
					at = strings.Index(lower, word)
				}
			}
			if at >= 0 {
				leaks = append(leaks, fmt.Sprintf("%s: …%s…", where, text[max(0, at-120):min(len(text), at+60)]))
			}
		}
	}
	look(s.seen, secret)
	look(s.wild, append(secret, spellings(finch)...))
	slices.Sort(leaks)
	return leaks
}

// caged returns where a ciphertext or a digest begins in text, or -1. Both are 20
// letters of Base64 or hexadecimal at the least, so that only longer runs count.
func (s *spy) caged(text string) int {
	letter := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '='
	}
	for from := 0; from < len(text); from++ {
		to := from
		for to < len(text) && letter(text[to]) {
			to++
		}
		for ; to-from >= 20; from++ {
			if s.cages[text[from:from+20]] || to-from >= 32 && s.cages[text[from:from+32]] {
				return from
			}
		}
		from = max(from, to)
	}
	return -1
}

// TestCanaryIsFound: the test below can fail. Whatever way a canary flies, it is
// seen.
func TestCanaryIsFound(t *testing.T) {
	t.Parallel()
	type leaky struct {
		Text  string
		Bytes []byte
	}
	sealed, err := mustKey(t, canaryKey).Seal([]byte(`{"order_id":"1","amount":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope.Response{Code: "SUCCESS", Sealed: sealed})
	if err != nil {
		t.Fatal(err)
	}
	for name, leak := range map[string]func(*spy){
		"log":         func(s *spy) { slog.New(slog.NewTextHandler(s, nil)).Info("x", "key", canaryKey) },
		"error":       func(s *spy) { s.failure("x", fmt.Errorf("member remarks: %q", canary+"remark")) },
		"value":       func(s *spy) { s.value("x", leaky{Text: "the " + canary}) },
		"bytes":       func(s *spy) { s.value("x", leaky{Bytes: []byte(canary)}) },
		"base64":      func(s *spy) { s.value("x", json.RawMessage("a"+canary)) },
		"base64 +1":   func(s *spy) { s.see("x", base64.StdEncoding.EncodeToString([]byte("1"+canary))) },
		"base64 +2":   func(s *spy) { s.see("x", base64.URLEncoding.EncodeToString([]byte("12"+canary+"3"))) },
		"lower case":  func(s *spy) { s.see("x", "https://shop.example/?token="+strings.ToLower(canary)) },
		"MerCode":     func(s *spy) { s.see("x", "merCode="+merCode) },
		"digest":      func(s *spy) { s.wire(body); s.see("x", strings.ToLower(sealed.MD5)) },
		"ciphertext":  func(s *spy) { s.wire(body); s.see("x", string(body)) },
		"to others":   func(s *spy) { s.public("x", "order "+finch+"1") },
		"span":        func(s *spy) { s.public("x", "ottpay.order="+finch) },
		"both at all": func(s *spy) { s.public("x", canary) },
	} {
		s := newSpy()
		leak(s)
		if len(s.found()) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	s := newSpy()
	s.wire(body)
	s.see("x", "order "+finch+"1 refused: schema")
	s.public("x", "401 Unauthorized")
	if leaks := s.found(); len(leaks) != 0 {
		t.Errorf("false alarm: %q", leaks)
	}
}
