package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

func newExplain(a *app) *cobra.Command {
	var keys keyFlags
	var against, kind string
	var redact, codes bool
	cmd := &cobra.Command{
		Use:   "explain [FILE]",
		Short: "says what is wrong with a message, and which rule was broken",
		Long: `explain takes an envelope, data and md5 alone, a whole HTTP message, a curl
command or a form body, from FILE or standard input. It names the first thing
that is wrong, the rule behind it, how to fix it, and what the kit's webhook or
the gateway would answer. Mistakes that cannot be told apart are named together,
the likeliest first.

It tries wrong derivations, ciphers and digests with the keys that you give. It
is meant for the one who has the keys, and prints what they decrypt; --redact
leaves names and lengths, fit for a public issue.`,
		Example: `  ottpay explain message.json
  curl -s http://127.0.0.1:3000/last-callback | ottpay explain
  ottpay explain --redact message.json > for-the-issue.txt
  ottpay explain --against meant.json message.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if codes {
				return a.explanationCodes()
			}
			switch explain.Kind(kind) {
			case "", explain.KindRequest, explain.KindResponse, explain.KindCallback:
			default:
				return usagef("--kind is request, response or callback")
			}
			message, err := a.input(cmd, args, "an envelope")
			if err != nil {
				return err
			}
			opt := explain.Options{Kind: explain.Kind(kind), Redact: redact}
			if against != "" {
				if opt.Against, err = os.ReadFile(against); err != nil {
					return unreadable("what was meant", against, err)
				}
			}
			ring, err := a.keyring(&keys)
			if err != nil {
				return err
			}
			x, err := newExplainer(ring)
			if err != nil {
				return err
			}
			e := x.Explain(message, opt)
			if a.json {
				err = a.object(e)
			} else {
				err = e.WriteText(a.Out, func(kind, text string) string {
					switch kind {
					case "FAIL":
						return a.paint(a.Out, red, text)
					case "ok":
						return a.paint(a.Out, green, text)
					}
					return a.paint(a.Out, dim, text)
				})
			}
			if err != nil {
				return err
			}
			if !e.OK {
				return &Failure{Code: CodeNo, Kind: KindUnauthentic, Message: string(e.Code), Shown: true}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&against, "against", "", "compare with the plaintext in `FILE`, which was meant to be sealed")
	flags.StringVar(&kind, "kind", "", "what the message is meant to be: request, response or callback")
	flags.BoolVar(&redact, "redact", false, "print names and lengths in place of values")
	flags.BoolVar(&codes, "codes", false, "list the codes of mistakes")
	keys.add(cmd)
	_ = cmd.MarkFlagFilename("against")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"request", "response", "callback"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// newExplainer hands the keys to the explainer. If only the published key is
// there, it serves every merchant: a message of another one is then called
// foreign, which is more to the point than an unknown merchant.
func newExplainer(ring *keyring) (*explain.Explainer, error) {
	var cfg explain.Config
	for _, k := range ring.keys {
		cfg.Keys = append(cfg.Keys, explain.Key{Merchant: k.merchant, From: k.from, Text: k.text})
	}
	x, err := explain.New(cfg)
	if err != nil {
		return nil, configf("%v", err)
	}
	return x, nil
}

// explanationCodes lists the codes, one a line.
func (a *app) explanationCodes() error {
	for _, c := range explain.Codes() {
		var err error
		if a.json {
			err = a.object(struct {
				V    int          `json:"v"`
				Type string       `json:"type"`
				Code explain.Code `json:"code"`
				Step explain.Step `json:"step"`
				Text string       `json:"text"`
				Doc  string       `json:"doc"`
			}{1, "code", c.Code, c.Step, c.Text, "docs/protocol.md, " + c.Doc})
		} else {
			_, err = fmt.Fprintf(a.Out, "%-22s %-10s %s\n", c.Code, c.Step, c.Text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
