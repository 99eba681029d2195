package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const width = 80 // columns of help texts

// docPage is where the commands are described in full.
const docPage = "https://github.com/ottpaykit/ottpay/blob/main/docs/cli.md"

// help writes the whole help of a command: examples first.
func (a *app) help(cmd *cobra.Command, _ []string) {
	w := a.Out
	if cmd.Annotations["topic"] != "" {
		fmt.Fprintln(w, strings.TrimSpace(cmd.Long))
		return
	}
	fmt.Fprintf(w, "%s: %s\n", cmd.CommandPath(), cmd.Short)
	if cmd.Example != "" {
		fmt.Fprintf(w, "\n%s\n%s\n", a.paint(w, bold, "Examples"), strings.TrimRight(cmd.Example, "\n"))
	}
	if err := a.usageTo(w, cmd); err != nil {
		return
	}
	if cmd.Long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(cmd.Long))
	}
	a.subcommands(w, cmd)
	if own := cmd.LocalFlags(); cmd.HasParent() && own.HasAvailableFlags() {
		fmt.Fprintf(w, "\n%s\n%s", a.paint(w, bold, "Flags"), own.FlagUsagesWrapped(width))
	}
	global := cmd.Root().PersistentFlags()
	fmt.Fprintf(w, "\n%s\n%s", a.paint(w, bold, "Global flags"), global.FlagUsagesWrapped(width))
	fmt.Fprintf(w, "\nMore: %s#%s\n", docPage, strings.ReplaceAll(cmd.CommandPath(), " ", "-"))
}

// concise writes what a command that was called bare shows.
func (a *app) concise(w io.Writer, cmd *cobra.Command) {
	if a.json {
		return
	}
	fmt.Fprintf(w, "%s: %s\n", cmd.CommandPath(), cmd.Short)
	examples := strings.Split(strings.TrimRight(cmd.Example, "\n"), "\n")
	if cmd.Example != "" {
		fmt.Fprintf(w, "\n%s\n", strings.Join(examples[:min(2, len(examples))], "\n"))
	}
	a.subcommands(w, cmd)
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	shown.SortFlags = false
	count := 0
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if count < 5 && !f.Hidden && cmd.HasParent() {
			shown.AddFlag(f)
			count++
		}
	})
	if count > 0 {
		fmt.Fprintf(w, "\n%s", shown.FlagUsagesWrapped(width))
	}
	fmt.Fprintf(w, "\nSee %s --help\n", cmd.CommandPath())
}

func (a *app) subcommands(w io.Writer, cmd *cobra.Command) {
	var topics []*cobra.Command
	title := false
	for _, sub := range cmd.Commands() {
		switch {
		case sub.Annotations["topic"] != "":
			topics = append(topics, sub)
		case sub.IsAvailableCommand():
			if !title {
				fmt.Fprintf(w, "\n%s\n", a.paint(w, bold, "Commands"))
				title = true
			}
			fmt.Fprintf(w, "  %-12s %s\n", sub.Name(), sub.Short)
		}
	}
	if len(topics) > 0 {
		fmt.Fprintf(w, "\n%s\n", a.paint(w, bold, "Help topics"))
		for _, topic := range topics {
			fmt.Fprintf(w, "  ottpay help %-12s %s\n", topic.Name(), topic.Short)
		}
	}
}

func (a *app) usage(cmd *cobra.Command) error { return a.usageTo(a.Err, cmd) }

func (a *app) usageTo(w io.Writer, cmd *cobra.Command) error {
	_, err := fmt.Fprintf(w, "\n%s\n  %s\n", a.paint(w, bold, "Usage"), useLine(cmd))
	return err
}

func useLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND [flags]"
	}
	return cmd.UseLine()
}

// newHelp returns the command help, which also finds the topics.
func newHelp(a *app, root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND|TOPIC]",
		Short: "shows help on a command or a topic",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, sub := range root.Commands() {
				if sub.IsAvailableCommand() || sub.Annotations["topic"] != "" {
					names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			target := root
			for _, name := range args {
				var found *cobra.Command
				for _, sub := range target.Commands() {
					if sub.Name() == name {
						found = sub
					}
				}
				if found == nil {
					return a.unknownCommand(target, name)
				}
				target = found
			}
			a.help(target, nil)
			return nil
		},
	}
}

// topics are texts that no command stands behind.
func topics(_ *app) []*cobra.Command {
	topic := func(name, short, text string) *cobra.Command {
		return &cobra.Command{
			Use:         name,
			Short:       short,
			Long:        text,
			Annotations: map[string]string{"topic": name},
		}
	}
	return []*cobra.Command{
		topic("exit-codes", "what the exit codes mean", exitCodesText),
		topic("environment", "the variables that commands read", environmentText),
		topic("json", "what --json prints", jsonText),
	}
}

const exitCodesText = `Exit codes

  0  done, or asked to stop (SIGINT, SIGTERM)
  1  the answer is no: not authentic, refused, a check failed, or a fault met
     another answer than expected
  2  wrong use or configuration: a flag, a missing key, input that cannot be
     read
  3  outcome unknown: no answer came, or none that can be believed. Ask with
     "ottpay call STATUS_QUERY"; never repeat a payment. Only call, trigger,
     replay and listen --until end so
  4  pending: the gateway has accepted and not decided. So that
     "ottpay call PASSIVEPAY … && ship" never ships too early
  5  this machine: an address in use, a disk, a permission`

const environmentText = `Environment

  OTTPAY_KEYS_FILE    a file of lines "MERCHANT KEY"; several lines of one
                      merchant are a change of key, # begins a comment
  OTTPAY_MERCHANT_ID  the merchant
  OTTPAY_SIGN_KEY     its sign key; further keys in OTTPAY_SIGN_KEY_2, …
  OTTPAY_OPERATOR_ID  the operator that requests name
  OTTPAY_BASE_URL     where call sends requests
  OTTPAY_SANDBOX      the address of a running sandbox; defaults to
                      http://127.0.0.1:6698
  OTTPAY_ADDR         where sandbox listens
  OTTPAY_TOKEN        the sandbox's token, where it wants one
  NO_COLOR            if not empty, no colours; FORCE_COLOR and CLICOLOR_FORCE
                      turn them on

A flag comes before the environment, the environment before --env-file, and
that before a default. A file .env is not read unless --env-file names it.

A file of keys is safer than a variable: a variable is inherited by every
program that a shell starts. Keys are never taken from an argument, because
every process on the machine can read those.`

const jsonText = `JSON

With --json, standard output holds JSON and nothing else. A command that ends
prints one object; one that runs prints one object a line. Errors are one object
on standard error.

Every object has "v" (1) and "type". Times are RFC 3339 in UTC with
milliseconds, amounts are integers in cents under names that end in
amount_cents, ids are strings. What is unknown is absent, never null. Within
"v":1 members are only ever added.

  {"v":1,"type":"error","code":"usage","message":"…","hint":"…"}

docs/cli.md lists the objects of each command.

The codes of errors: usage, config, io, refused, unauthentic, unknown-outcome,
pending, internal.`
