package bench

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	paddle "github.com/PaddleHQ/paddle-go-sdk/v4"
	"github.com/go-playground/validator/v10"
	"github.com/go-playground/webhooks/v6/github"
	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v82"
	stripewebhook "github.com/stripe/stripe-go/v82/webhook"
	svix "github.com/svix/svix-webhooks/go"
)

// peer is another library's verification of another vendor's webhook, brought
// as far as the kit's: a typed and validated notification.
type peer struct {
	name, note string
	// sign makes a delivery as the vendor does.
	sign func(payload []byte, id string, at time.Time) (body []byte, header http.Header)
	// receive verifies, decodes and validates, in the way that the library's
	// own documentation shows.
	receive func(r *http.Request) (*plainNotification, error)
	// limited says that the library itself bounds the body. Elsewhere the
	// documentation's example reads it whole.
	limited bool
}

// invented is a key of 32 bytes for the peers.
var invented = []byte("0123456789abcdef0123456789abcdef")

func hmacHex(parts ...[]byte) string {
	mac := hmac.New(sha256.New, invented)
	for _, p := range parts {
		mac.Write(p)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// typed decodes and validates, for the libraries that stop at the signature.
func typed(v *validator.Validate, payload []byte) (*plainNotification, error) {
	var n plainNotification
	if err := json.Unmarshal(payload, &n); err != nil {
		return nil, err
	}
	return &n, v.Struct(&n)
}

// peers returns the other libraries.
func peers() []peer {
	v := newValidator()
	return []peer{stripePeer(v), standardPeer(v), svixPeer(v), paddlePeer(v), githubPeer(v), aeadPeer(v)}
}

func stripePeer(v *validator.Validate) peer {
	const secret = "whsec_invented"
	return peer{
		name: "stripe-go", note: "ConstructEvent, then the event's object typed and validated",
		sign: func(payload []byte, id string, at time.Time) ([]byte, http.Header) {
			body := fmt.Appendf(nil, `{"id":%q,"object":"event","api_version":%q,"type":"charge.succeeded","data":{"object":%s}}`, id, stripe.APIVersion, payload)
			signature := stripewebhook.ComputeSignature(at, body, secret)
			return body, http.Header{"Stripe-Signature": {fmt.Sprintf("t=%d,v1=%x", at.Unix(), signature)}}
		},
		receive: func(r *http.Request) (*plainNotification, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			event, err := stripewebhook.ConstructEvent(body, r.Header.Get("Stripe-Signature"), secret)
			if err != nil {
				return nil, err
			}
			return typed(v, event.Data.Raw)
		},
	}
}

func standardPeer(v *validator.Validate) peer {
	wh, err := standard.NewWebhookRaw(invented)
	if err != nil {
		panic(err) // the key is a constant
	}
	return standardWebhooks(v, "standard-webhooks", "Webhook-", wh)
}

func svixPeer(v *validator.Validate) peer {
	wh, err := svix.NewWebhookRaw(invented)
	if err != nil {
		panic(err) // the key is a constant
	}
	return standardWebhooks(v, "svix", "Svix-", wh)
}

// standardWebhooks is a library of the scheme that Standard Webhooks describes.
// The headers' names differ in their prefix.
func standardWebhooks(v *validator.Validate, name, prefix string, wh interface {
	Sign(id string, at time.Time, payload []byte) (string, error)
	Verify(payload []byte, headers http.Header) error
}) peer {
	return peer{
		name: name, note: "Verify, then typed and validated",
		sign: func(payload []byte, id string, at time.Time) ([]byte, http.Header) {
			signature, _ := wh.Sign(id, at, payload)
			return payload, http.Header{
				prefix + "Id": {id}, prefix + "Timestamp": {strconv.FormatInt(at.Unix(), 10)}, prefix + "Signature": {signature},
			}
		},
		receive: func(r *http.Request) (*plainNotification, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			if err := wh.Verify(body, r.Header); err != nil {
				return nil, err
			}
			return typed(v, body)
		},
	}
}

func paddlePeer(v *validator.Validate) peer {
	verifier := paddle.NewWebhookVerifier(string(invented), paddle.VerifierWithTimestampTolerance(5*time.Minute))
	return peer{
		name: "paddle-go-sdk", note: "Verify, then the body typed and validated", limited: true,
		sign: func(payload []byte, _ string, at time.Time) ([]byte, http.Header) {
			ts := strconv.FormatInt(at.Unix(), 10)
			return payload, http.Header{"Paddle-Signature": {"ts=" + ts + ";h1=" + hmacHex([]byte(ts+":"), payload)}}
		},
		receive: func(r *http.Request) (*plainNotification, error) {
			ok, err := verifier.Verify(r)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, errors.New("signature mismatch")
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			return typed(v, body)
		},
	}
}

func githubPeer(v *validator.Validate) peer {
	hook, err := github.New(github.Options.Secret(string(invented)))
	if err != nil {
		panic(err) // the option is a constant
	}
	return peer{
		name: "go-playground/webhooks", note: "github.Parse, which decodes into GitHub's type; the body is decoded again into ours and validated; its signature holds no time",
		sign: func(payload []byte, id string, _ time.Time) ([]byte, http.Header) {
			return payload, http.Header{
				"X-Github-Event": {"ping"}, "X-Github-Delivery": {id}, "X-Hub-Signature-256": {"sha256=" + hmacHex(payload)},
			}
		},
		receive: func(r *http.Request) (*plainNotification, error) {
			var body bytes.Buffer // Parse consumes the body
			r.Body = io.NopCloser(io.TeeReader(r.Body, &body))
			if _, err := hook.Parse(r, github.PingEvent); err != nil {
				return nil, err
			}
			return typed(v, body.Bytes())
		},
	}
}

// aeadPeer has the shape of WeChat Pay's notifications of today: an RSA-2048
// signature over the body and an AES-256-GCM resource within it. It is a
// baseline of our own and no library.
func aeadPeer(v *validator.Validate) peer {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the machine has no randomness
	}
	public, err := x509.ParsePKCS1PublicKey(x509.MarshalPKCS1PublicKey(&private.PublicKey))
	if err != nil {
		panic(err) // it was just written
	}
	block, err := aes.NewCipher(invented)
	if err != nil {
		panic(err) // the key is a constant
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	type resource struct {
		Nonce      string `json:"nonce"`
		Ciphertext string `json:"ciphertext"`
	}
	type message struct {
		ID       string   `json:"id"`
		Resource resource `json:"resource"`
	}
	digest := func(ts, nonce string, body []byte) []byte {
		sum := sha256.Sum256([]byte(ts + "\n" + nonce + "\n" + string(body) + "\n"))
		return sum[:]
	}
	return peer{
		name: "RSA+AES-GCM", note: "a baseline shaped like WeChat Pay's current protocol, standard library only",
		sign: func(payload []byte, id string, at time.Time) ([]byte, http.Header) {
			nonce := "0123456789ab"
			body, _ := json.Marshal(message{id, resource{nonce, base64.StdEncoding.EncodeToString(aead.Seal(nil, []byte(nonce), payload, nil))}})
			ts := strconv.FormatInt(at.Unix(), 10)
			signature, _ := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest(ts, id, body))
			return body, http.Header{
				"Timestamp": {ts}, "Nonce": {id}, "Signature": {base64.StdEncoding.EncodeToString(signature)},
			}
		},
		receive: func(r *http.Request) (*plainNotification, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			ts := r.Header.Get("Timestamp")
			seconds, err := strconv.ParseInt(ts, 10, 64)
			if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
				return nil, errors.New("not of now")
			}
			signature, err := base64.StdEncoding.DecodeString(r.Header.Get("Signature"))
			if err != nil {
				return nil, err
			}
			if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest(ts, r.Header.Get("Nonce"), body), signature); err != nil {
				return nil, err
			}
			var m message
			if err := json.Unmarshal(body, &m); err != nil {
				return nil, err
			}
			sealed, err := base64.StdEncoding.DecodeString(m.Resource.Ciphertext)
			if err != nil || len(m.Resource.Nonce) != aead.NonceSize() {
				return nil, errors.New("bad resource")
			}
			payload, err := aead.Open(nil, []byte(m.Resource.Nonce), sealed, nil)
			if err != nil {
				return nil, err
			}
			return typed(v, payload)
		},
	}
}
