package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
)

func newSeal(a *app) *cobra.Command {
	var keys keyFlags
	var as, action, code string
	cmd := &cobra.Command{
		Use:   "seal [FILE]",
		Short: "encrypts a JSON object and prints the envelope",
		Long: `seal takes one JSON object from FILE or standard input, encrypts it and
computes its digest, with the merchant's first key. It prints data and md5, or
a whole request, response or callback around them.`,
		Example: `  echo '{"order_id":"A1001"}' | ottpay seal
  ottpay seal --action STATUS_QUERY query.json
  ottpay seal --as callback paid.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if as == "" {
				as = "data"
				if action != "" {
					as = "request"
				}
			}
			plaintext, err := a.input(cmd, args, "a JSON object")
			if err != nil {
				return err
			}
			ring, err := a.keyring(&keys)
			if err != nil {
				return err
			}
			merchant, key, err := a.sealingKey(ring, &keys)
			if err != nil {
				return err
			}
			sealed, err := key.Seal([]byte(strings.TrimSpace(strings.TrimPrefix(string(plaintext), "\ufeff"))))
			if err != nil {
				return configf("the plaintext is not one strict JSON object (%s)", envelope.Reason(err))
			}
			body, err := wrap(as, action, code, merchant, sealed)
			if err != nil {
				return err
			}
			if a.json {
				return a.object(struct {
					V        int             `json:"v"`
					Type     string          `json:"type"`
					Envelope json.RawMessage `json:"envelope"`
				}{1, "sealed", body})
			}
			_, err = fmt.Fprintf(a.Out, "%s\n", body)
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&as, "as", "", "what to print: data, request, response or callback (default data, with --action request)")
	flags.StringVar(&action, "action", "", "the action of a request, such as H5PAY")
	flags.StringVar(&code, "code", "SUCCESS", "the rsp_code of a response or a callback")
	keys.add(cmd)
	keys.addMerchant(a, cmd)
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions([]string{"data", "request", "response", "callback"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("action", completeActions)
	return cmd
}

// wrap writes what stands around data and md5.
func wrap(as, action, code, merchant string, sealed envelope.Sealed) ([]byte, error) {
	switch as {
	case "data":
		return json.Marshal(sealed)
	case "request":
		if action == "" {
			return nil, usagef("a request needs --action").hint("such as --action H5PAY")
		}
		known, ok := api.LookupAction(action)
		if !ok {
			return nil, unknownAction(action)
		}
		return json.Marshal(envelope.Request{Action: action, Version: known.Version, MerchantID: merchant, Sealed: sealed})
	case "response", "callback":
		return json.Marshal(envelope.Response{Code: code, Message: api.Code(code).Message(), MerchantID: merchant, Sealed: sealed})
	}
	return nil, usagef("--as is data, request, response or callback")
}

// unknownAction names the action that may be meant.
func unknownAction(name string) *Failure {
	f := usagef("unknown action %q", cleanWord(name))
	if near := nearest(name, actionNames()); near != "" {
		f.Message += "; did you mean " + near + "?"
	}
	return f
}

func actionNames() []string {
	var names []string
	for _, action := range api.Actions() {
		names = append(names, string(action.Name))
	}
	return names
}

func completeActions(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, action := range api.Actions() {
		names = append(names, cobra.CompletionWithDesc(string(action.Name), action.Summary))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// sealingKey returns the merchant that a command speaks for, and its first key.
func (a *app) sealingKey(ring *keyring, f *keyFlags) (string, envelope.Key, error) {
	merchant := a.fallback(f.merchant, envMerchant, "")
	if merchant == "" {
		switch ids := ring.merchants(); len(ids) {
		case 0:
			return "", envelope.Key{}, configf("no merchant is named").hint("--merchant ID, or set %s", envMerchant)
		case 1:
			merchant = ids[0]
		default:
			merchant = ids[0]
			a.talk("the first merchant with a key is taken: %s (--merchant names another)", merchant)
		}
	}
	keys := ring.of(merchant)
	if len(keys) == 0 {
		return "", envelope.Key{}, noKey(cleanWord(merchant))
	}
	key, err := envelope.NewKey(keys[0].text())
	if err != nil {
		return "", envelope.Key{}, configf("%s holds no usable key", keys[0].from)
	}
	return merchant, key, nil
}

// cleanWord returns a word from outside as it may be shown on one line.
func cleanWord(s string) string {
	clean := strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0 || c >= 0x200b && c <= 0x200f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '?'
		}
		return c
	}, s)
	if r := []rune(clean); len(r) > 64 {
		clean = string(r[:63]) + "…"
	}
	return clean
}
