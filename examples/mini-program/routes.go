package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/middleware"
)

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/login", s.serveLogin)
	mux.HandleFunc("GET /api/items/{id}", s.payer(s.serveItem))
	mux.HandleFunc("POST /api/orders", s.payer(s.serveBuy))
	mux.HandleFunc("GET /api/orders/{id}", s.payer(s.serveStatus))
	mux.Handle("POST /ottpay/callback", middleware.Handle(s.webhook, s.pay))
	return mux
}

// serveLogin exchanges the code of wx.login for a session.
func (s *shop) serveLogin(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Code string `json:"code"`
	}
	if !read(rw, r, &in) {
		return
	}
	openID, err := s.cfg.login.openID(r.Context(), in.Code)
	switch {
	case errors.Is(err, errLogin):
		refuse(rw, http.StatusForbidden, "login-refused")
	case err != nil:
		refuse(rw, http.StatusBadGateway, "login-unavailable")
	default:
		answer(rw, http.StatusOK, map[string]string{"session": s.sessions.start(openID)})
	}
}

// payer admits requests of a session and passes on whose it is.
func (s *shop) payer(next func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		openID, ok := s.sessions.openID(token)
		if !ok {
			refuse(rw, http.StatusUnauthorized, "no-session")
			return
		}
		next(rw, r, openID)
	}
}

func (s *shop) serveItem(rw http.ResponseWriter, r *http.Request, _ string) {
	it, ok := items[r.PathValue("id")]
	if !ok {
		refuse(rw, http.StatusNotFound, "no-item")
		return
	}
	answer(rw, http.StatusOK, map[string]string{"id": it.ID, "name": it.Name, "price": price(it.Price)})
}

var requestID = regexp.MustCompile(`^[0-9A-Za-z-]{8,64}$`)

// serveBuy makes an order. What it costs is not for the client to say.
func (s *shop) serveBuy(rw http.ResponseWriter, r *http.Request, openID string) {
	var in struct {
		Item      string `json:"item"`
		RequestID string `json:"request_id"`
	}
	if !read(rw, r, &in) {
		return
	}
	it, ok := items[in.Item]
	switch {
	case !ok:
		refuse(rw, http.StatusNotFound, "no-item")
		return
	case !requestID.MatchString(in.RequestID):
		refuse(rw, http.StatusBadRequest, "request-id")
		return
	}
	id, payment, err := s.buy(r.Context(), request{openID, in.RequestID}, it)
	switch {
	case errors.Is(err, errOtherItem):
		refuse(rw, http.StatusConflict, "request-id")
	case errors.Is(err, ottpay.ErrUnknownOutcome):
		refuse(rw, http.StatusServiceUnavailable, "try-again")
	case err != nil:
		refuse(rw, http.StatusBadGateway, "gateway") // the client's logger has the reason
	default:
		answer(rw, http.StatusCreated, map[string]any{"order_id": id, "total": price(it.Price), "payment": payment})
	}
}

func (s *shop) serveStatus(rw http.ResponseWriter, r *http.Request, openID string) {
	status, err := s.status(r.Context(), openID, r.PathValue("id"))
	if err != nil {
		refuse(rw, http.StatusNotFound, "no-order")
		return
	}
	answer(rw, http.StatusOK, map[string]string{"status": status})
}

// read decodes a small JSON body, or answers that it is none.
func read(rw http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, 4<<10)).Decode(into); err != nil {
		refuse(rw, http.StatusBadRequest, "not-json")
		return false
	}
	return true
}

// refuse answers with a word that the mini-program can act on.
func refuse(rw http.ResponseWriter, status int, code string) {
	answer(rw, status, map[string]string{"error": code})
}

func answer(rw http.ResponseWriter, status int, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(v) // an error is the client's that went away
}
