package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// login finds the payer's open_id for a code of wx.login.
type login interface {
	openID(ctx context.Context, code string) (string, error)
}

// errLogin says that a code is not, or no longer, good.
var errLogin = errors.New("mini-program: the login code is refused")

// newLogin returns WeChat's login, or one that admits every code if there are
// no credentials to ask WeChat with.
func newLogin(appID, secret string) login {
	if appID == "" || secret == "" {
		return pretended{}
	}
	return weChat{
		url: "https://api.weixin.qq.com/sns/jscode2session", appID: appID, secret: secret,
		client: &http.Client{Timeout: 5 * time.Second},
	}
}

// weChat asks WeChat. The secret of the mini-program stays on this server.
type weChat struct {
	url, appID, secret string
	client             *http.Client
}

func (w weChat) openID(ctx context.Context, code string) (string, error) {
	query := url.Values{
		"appid": {w.appID}, "secret": {w.secret}, "js_code": {code}, "grant_type": {"authorization_code"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"?"+query.Encode(), nil)
	if err != nil {
		return "", errors.New("mini-program: WeChat's address is not a URL")
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return "", errors.New("mini-program: WeChat cannot be reached") // err quotes the URL, which holds the secret
	}
	defer resp.Body.Close()
	var answer struct {
		OpenID string `json:"openid"`
		Code   int    `json:"errcode"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer); err != nil {
		return "", errors.New("mini-program: WeChat's answer is not JSON")
	}
	if answer.Code != 0 || answer.OpenID == "" {
		return "", errLogin
	}
	return answer.OpenID, nil
}

// pretended makes an open_id of any code, for the sandbox.
type pretended struct{}

func (pretended) openID(_ context.Context, code string) (string, error) {
	if code == "" {
		return "", errLogin
	}
	return "o000000000000000000000sandbox", nil
}

// sessions are the payers that have logged in. A shop with more than one
// process keeps them in its database.
type sessions struct {
	now  func() time.Time
	mu   sync.Mutex
	open map[string]session
}

type session struct {
	openID string
	until  time.Time
}

const sessionLife = 2 * time.Hour

// start opens a session and returns the token that stands for it.
func (s *sessions) start(openID string) string {
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[string]session)
	}
	for t, old := range s.open {
		if s.now().After(old.until) {
			delete(s.open, t)
		}
	}
	s.open[token] = session{openID, s.now().Add(sessionLife)}
	return token
}

// openID returns whose session a token stands for.
func (s *sessions) openID(token string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.open[token]
	if !ok || s.now().After(found.until) {
		return "", false
	}
	return found.openID, true
}
