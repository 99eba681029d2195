package explain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/ottpaykit/ottpay"
	"github.com/ottpaykit/ottpay/dedupe"
	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/middleware"
)

// answers says what the kit's webhook and the sandbox's gateway would answer
// to the body as it arrived.
func (r *run) answers() {
	body := r.wire
	claims := r.Kind
	if claims == "" && r.outer.hasAction {
		claims = KindRequest
	}
	if claims == KindRequest {
		r.Gateway = r.gatewayAnswer(body)
		return
	}
	if claims == KindResponse {
		return
	}
	r.Webhook = r.webhookAnswer(body)
}

// lookup finds keys for the webhook.
type lookup struct{ x *Explainer }

func (l lookup) Keys(_ context.Context, merchantID string) ([]envelope.Key, error) {
	var keys []envelope.Key
	for _, k := range l.x.keysOf(merchantID) {
		keys = append(keys, k.key)
	}
	return keys, nil
}

// webhookAnswer lets the kit's own webhook look at the body.
func (r *run) webhookAnswer(body []byte) *WebhookAnswer {
	method := r.carrier.method
	if method == "" {
		method = http.MethodPost
	}
	hook, err := ottpay.NewWebhook(middleware.Config{
		Keys:   lookup{r.x},
		Store:  dedupe.NewMemory(dedupe.MemoryConfig{}),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),

		InsecureTrustCallback: true, // Check asks nothing
	})
	if err != nil {
		return nil
	}
	req, err := http.NewRequestWithContext(context.Background(), method, "http://shop.example/ottpay", bytes.NewReader(body))
	if err != nil {
		return nil
	}
	for name, values := range r.carrier.header {
		req.Header[name] = values
	}
	req.Header.Del("Content-Length")
	delivery, err := hook.Check(req)
	var refused *middleware.Refusal
	switch {
	case errors.As(err, &refused):
		return &WebhookAnswer{refused.Status, string(refused.Reason)}
	case err != nil:
		return nil
	case !strings.EqualFold(r.outer.code, string(api.CodeSuccess)):
		return &WebhookAnswer{http.StatusServiceUnavailable, string(middleware.ReasonCode)}
	case delivery.SpliceSign() != "":
		r.note("blocks of data may have been moved without a trace in the digest; the kit asks the gateway before it believes the message")
		return &WebhookAnswer{http.StatusServiceUnavailable, string(middleware.ReasonPossibleSplice)}
	}
	return &WebhookAnswer{Status: http.StatusOK}
}

// gatewayAnswer follows the sandbox's gateway.
func (r *run) gatewayAnswer(body []byte) *GatewayAnswer {
	request, err := envelope.ReadRequest(body)
	if err != nil {
		return &GatewayAnswer{string(api.CodeParamError), "the envelope is malformed: " + envelope.Reason(err)}
	}
	opened := false
	for _, k := range r.x.keysOf(request.MerchantID) {
		if p, err := k.key.Open(request.Sealed); err == nil && p.Form == envelope.FormJava {
			opened = true
		}
	}
	switch {
	case !opened:
		return &GatewayAnswer{Code: string(api.CodePwdIncorrect)}
	case r.Code == "merchant":
		return &GatewayAnswer{string(api.CodeParamInvalid), "merchant_id"}
	case r.Code != "" && r.Code != "differs":
		member := ""
		if r.At != nil {
			member = r.At.Member
		}
		return &GatewayAnswer{string(api.CodeParamError), member}
	}
	return &GatewayAnswer{Code: string(api.CodeSuccess)}
}
