// Package cli is the command line of ottpay: a tree of commands, and the
// conventions that all of them keep. Standard output holds the result and
// standard error the talk; with --json both hold JSON and nothing else; exit
// codes are those of [Code]; keys come from a file or the environment and are
// never shown.
package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// System is what a command has of the machine it runs on. Streams that are
// terminals are named so by the caller, because only the caller knows the files.
type System struct {
	In       io.Reader
	Out, Err io.Writer

	// LookupEnv looks a variable of the environment up. If nil, there is none.
	LookupEnv func(name string) (string, bool)

	InTerminal, OutTerminal, ErrTerminal bool
}

// Main runs the command line args, without the program's name, and returns the
// exit code.
func Main(sys System, args []string) int {
	return run(context.Background(), sys, args)
}

func run(ctx context.Context, sys System, args []string) int {
	if sys.LookupEnv == nil {
		sys.LookupEnv = func(string) (string, bool) { return "", false }
	}
	out, errOut := newSink(sys.Out), newSink(sys.Err)
	sys.Out, sys.Err = out, errOut
	a := &app{System: sys}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(sys.In)
	root.SetOut(out)
	root.SetErr(errOut)

	defer func() { _ = errOut.close() }() // an error of it could be told nowhere
	err := root.ExecuteContext(ctx)
	if failed := out.close(); failed != nil && (err == nil || errors.Is(err, failed)) {
		if errors.Is(failed, syscall.EPIPE) {
			return int(CodeDone) // the reader has what it wanted
		}
		err = &Failure{Code: CodeMachine, Kind: KindIO, Message: "cannot write to standard output: " + cause(failed)}
	}
	if err == nil {
		return int(CodeDone)
	}
	// A flag that does not parse stops the parsing, so that --json may stand
	// behind it unread.
	return int(a.report(err, a.json || slices.Contains(args, "--json")))
}

// app is one run of the program: the system and the global flags.
type app struct {
	System

	json    bool
	quiet   bool
	verbose bool
	color   string
	envFile string

	fileEnv map[string]string // of envFile
}

// sink is a stream of one run, safe for concurrent use: the requests that a
// command serves and the command itself write to it. It remembers its first
// error, so that a command need not check after each line whether the stream is
// still read, and takes nothing after close, because a request that outlives
// the shutdown's grace would write behind the program's back.
type sink struct {
	w    io.Writer
	turn chan struct{} // holds one value while a write is under way
	err  error
}

func newSink(w io.Writer) *sink { return &sink{w: w, turn: make(chan struct{}, 1)} }

func (s *sink) Write(p []byte) (int, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// close ends the stream and returns its first error. It does not wait for a
// reader that has stopped reading, such as a pager: that write never ends.
func (s *sink) close() error {
	select {
	case s.turn <- struct{}{}:
	case <-time.After(time.Second):
		return nil
	}
	defer func() { <-s.turn }()
	err := s.err
	if err == nil {
		s.err = io.ErrClosedPipe
	}
	return err
}

// newRoot returns the whole tree.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "ottpay",
		Short: "OTT Pay's gateway on this machine, and tools that explain its messages",
		Long: `ottpay is a sandbox for OTT Pay: a gateway, an API and a web page on one port,
offline, for a shop in any language. Its other commands seal, open and explain
envelopes, send callbacks to a shop, receive them, and call the gateway.`,
		Example: `  ottpay sandbox                          start the gateway and its page
  ottpay explain message.json             say what is wrong with an envelope
  ottpay trigger --to http://127.0.0.1:3000/ottpay --all
                                          try a shop with every known fault`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return a.unknownCommand(cmd, args[0])
		},
		RunE:                       a.bare,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.begin()
		},
		Version: version(),
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetVersionTemplate("ottpay {{.Version}}\n")
	root.SetFlagErrorFunc(a.flagError)
	root.SetHelpFunc(a.help)
	root.SetUsageFunc(func(cmd *cobra.Command) error { return a.usage(cmd) })

	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.BoolVar(&a.json, "json", false, "print JSON: one object, or one a line")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print the result and errors only")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "print more about what happens")
	flags.StringVar(&a.color, "color", "auto", "`when` to use colours: auto, always or never")
	flags.StringVar(&a.envFile, "env-file", "", "read variables from `FILE`; the environment comes before it")
	flags.BoolP("help", "h", false, "show help")
	root.Flags().Bool("version", false, "show the version")
	_ = root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))

	root.AddCommand(
		newSandbox(a),
		newExplain(a),
		newOpen(a),
		newSeal(a),
		newListen(a),
		newTrigger(a),
		newReplay(a),
		newCall(a),
		newRates(a),
		newDoctor(a),
		newFaults(a),
		newDocs(a),
		newHealth(a),
		newCompletion(a, root),
		newVersion(a),
	)
	for _, topic := range topics(a) {
		root.AddCommand(topic)
	}
	root.SetHelpCommand(newHelp(a, root))
	for _, cmd := range root.Commands() {
		wrapArgs(a, cmd)
	}
	return root
}

// begin checks the global flags and reads the file of variables.
func (a *app) begin() error {
	if !slices.Contains([]string{"auto", "always", "never"}, a.color) {
		return usagef("--color is auto, always or never")
	}
	if a.envFile == "" {
		return nil
	}
	env, err := readEnvFile(a.envFile)
	if err != nil {
		return err
	}
	a.fileEnv = env
	return nil
}

// wrapArgs makes every complaint about arguments a usage error.
func wrapArgs(a *app, cmd *cobra.Command) {
	if judge := cmd.Args; judge != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := judge(cmd, args)
			var f *Failure
			if err == nil || errors.As(err, &f) {
				return err
			}
			return &Failure{
				Code:    CodeUsage,
				Kind:    KindUsage,
				Message: err.Error(),
				Hint:    cmd.CommandPath() + " --help",
			}
		}
	}
	if cmd.HasSubCommands() && cmd.Args == nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return a.unknownCommand(cmd, args[0])
		}
		if cmd.RunE == nil && cmd.Run == nil {
			cmd.RunE = a.bare
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(a, sub)
	}
}

// bare answers a command that was called without what it needs.
func (a *app) bare(cmd *cobra.Command, _ []string) error {
	a.concise(a.Err, cmd)
	return &Failure{Code: CodeUsage, Kind: KindUsage, Shown: !a.json, Message: "ottpay needs a command"}
}
