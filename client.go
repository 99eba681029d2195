package ottpay

import (
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// Client speaks for one merchant to the gateway. It is safe for concurrent use.
// A call that moves money is sent once, whatever fails; [middleware.Transport]
// says how. Make one with [New].
type Client struct {
	*shared
	merchant, operator, terminal string
	queries, effects             middleware.Limiter // nil: not limited
}

// Format writes the type's name, whatever the verb: fmt would read what calls
// are changing.
func (*Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "ottpay.Client") }

// shared is what clients of several merchants have in common.
type shared struct {
	cfg       Config
	endpoints map[api.Action]*url.URL
	url       *url.URL
	inApp     *url.URL
	transport *middleware.Transport
	answers   answers
	refusals  refusals
}

// New checks cfg and returns a client. It does not connect.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("ottpay: %w", err)
	}
	s := &shared{cfg: cfg.withDefaults(), endpoints: make(map[api.Action]*url.URL, len(cfg.Endpoints))}
	var err error
	if s.url, err = endpoint(s.cfg.BaseURL); err != nil {
		return nil, fmt.Errorf("ottpay: Config.BaseURL: %w", err)
	}
	for action, text := range cfg.Endpoints {
		if s.endpoints[action], err = endpoint(text); err != nil {
			return nil, fmt.Errorf("ottpay: Config.Endpoints, %s: %w", action, err)
		}
	}
	if s.inApp = s.endpoints[ActionInAppPay]; s.inApp == nil {
		if s.inApp, err = endpoint(inAppPayURL); err != nil {
			return nil, err
		}
	}
	s.transport = &middleware.Transport{Keys: s.cfg.Keys, Base: s.cfg.Base, Observer: s.cfg.Observer, Now: s.cfg.Now}
	return s.client(cfg.MerchantID, cfg.OperatorID), nil
}

func endpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("not a URL") // url.Error quotes it
	}
	return u, api.CheckURL(u)
}

func (s *shared) client(merchantID, operatorID string) *Client {
	c := &Client{shared: s, merchant: merchantID, operator: operatorID}
	if s.cfg.Limiter != nil {
		c.queries = s.cfg.Limiter(merchantID, api.KindQuery)
		c.effects = s.cfg.Limiter(merchantID, api.KindEffect)
	}
	return c
}

// ForMerchant returns a client for another merchant that Config.Keys knows. It
// shares the configuration, the connections, and what is remembered of payments
// that may have left. Making one is cheap.
func (c *Client) ForMerchant(merchantID, operatorID string) *Client {
	return c.client(merchantID, operatorID)
}

// ForTerminal returns a client that names a terminal, and its operator, in the
// envelope of the in-store actions.
func (c *Client) ForTerminal(terminalNo string) *Client {
	t := *c
	t.terminal = terminalNo
	return &t
}

// MerchantID returns the merchant that the client speaks for.
func (c *Client) MerchantID() string { return c.merchant }

// CloseIdleConnections closes the connections that are kept for later calls,
// those of other merchants included.
func (c *Client) CloseIdleConnections() { c.transport.CloseIdleConnections() }
