package cli

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/envelope"
)

func newOpen(a *app) *cobra.Command {
	var keys keyFlags
	cmd := &cobra.Command{
		Use:   "open [FILE]",
		Short: "decrypts an envelope and prints its plaintext",
		Long: `open takes a request, a response, a callback, or data and md5 alone, from FILE
or standard input, and prints the plaintext if the envelope is authentic. If it
is not, it prints nothing and ends with 1; ottpay explain says why.`,
		Example: `  ottpay open callback.json
  ottpay seal plain.json | ottpay open`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.input(cmd, args, "an envelope")
			if err != nil {
				return err
			}
			ring, err := a.keyring(&keys)
			if err != nil {
				return err
			}
			return a.open(ring, body)
		},
	}
	keys.add(cmd)
	return cmd
}

// envelopeKind says what stands around data and md5.
func envelopeKind(body []byte) (kind, merchant string, sealed envelope.Sealed, err error) {
	answer, err := envelope.ReadAnswer(body)
	if err != nil {
		return "", "", envelope.Sealed{}, err
	}
	if answer.Code != "" {
		return "response or callback", answer.MerchantID, answer.Sealed, nil
	}
	request, err := envelope.ReadRequest(body)
	if err != nil {
		return "", "", envelope.Sealed{}, err
	}
	if request.Action != "" {
		return "request", request.MerchantID, request.Sealed, nil
	}
	return "data", request.MerchantID, request.Sealed, nil
}

func (a *app) open(ring *keyring, body []byte) error {
	kind, merchant, sealed, err := envelopeKind(body)
	if err != nil {
		return &Failure{Code: CodeNo, Kind: KindUnauthentic, Message: fmt.Sprintf("not an envelope (%s); ottpay explain says why", envelope.Reason(err))}
	}
	if sealed == (envelope.Sealed{}) {
		return &Failure{Code: CodeNo, Kind: KindUnauthentic, Message: "the answer has no data: it says that something failed, and nothing authenticates it"}
	}
	keys := ring.keys
	if merchant != "" {
		if keys = ring.of(merchant); len(keys) == 0 {
			return noKey(cleanWord(merchant))
		}
	}
	for i, k := range keys {
		key, err := envelope.NewKey(k.text())
		if err != nil {
			return configf("%s holds no usable key", k.from)
		}
		p, err := key.Open(sealed)
		if err != nil {
			continue
		}
		if merchant == "" {
			merchant = k.merchant
		}
		if a.json {
			return a.object(struct {
				V        int             `json:"v"`
				Type     string          `json:"type"`
				Kind     string          `json:"kind"`
				Merchant string          `json:"merchant,omitempty"`
				Key      int             `json:"key"`
				Keys     int             `json:"keys"`
				Form     string          `json:"form"`
				Payload  json.RawMessage `json:"payload"`
			}{1, "opened", kind, merchant, i + 1, len(keys), p.Form.String(), p.JSON})
		}
		if _, err := a.Out.Write(append(bytes.Clone(p.JSON), '\n')); err != nil {
			return err
		}
		of := ""
		if merchant != "" {
			of = " of " + cleanWord(merchant)
		}
		a.talk("%s  key %d of %d, form %s, %s%s", a.paint(a.Err, green, "ok"), i+1, len(keys), p.Form, kind, of)
		return nil
	}
	return &Failure{Code: CodeNo, Kind: KindUnauthentic, Message: "not authentic; ottpay explain says why"}
}
