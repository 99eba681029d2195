package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/ottpaykit/ottpay/tools/page"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Code is an exit code.
type Code int

// The exit codes. Help topic exit-codes explains them.
const (
	CodeDone    Code = 0 // done, or asked to stop
	CodeNo      Code = 1 // the answer is no
	CodeUsage   Code = 2 // wrong use or configuration
	CodeUnknown Code = 3 // outcome unknown: ask, never repeat
	CodePending Code = 4 // accepted, not decided
	CodeMachine Code = 5 // this machine: address in use, disk, permission
)

// Kind is the word that an error carries with --json.
type Kind string

// The kinds of error.
const (
	KindUsage          Kind = "usage"
	KindConfig         Kind = "config"
	KindIO             Kind = "io"
	KindRefused        Kind = "refused"
	KindUnauthentic    Kind = "unauthentic"
	KindUnknownOutcome Kind = "unknown-outcome"
	KindPending        Kind = "pending"
	KindInternal       Kind = "internal"
)

// Failure is how a command failed: what happened, and what to do.
type Failure struct {
	Code    Code
	Kind    Kind
	Message string // what happened: lower case, one line, no full stop
	Hint    string // what to do; optional
	Next    string // the command to run next; optional
	Doc     string // a place in the documentation; optional
	Shown   bool   // the command has said it already; only the code is left to tell
}

func (f *Failure) Error() string { return f.Message }

// usagef returns a failure of the command line itself.
func usagef(format string, args ...any) *Failure {
	return &Failure{Code: CodeUsage, Kind: KindUsage, Message: fmt.Sprintf(format, args...)}
}

// configf returns a failure of what was configured.
func configf(format string, args ...any) *Failure {
	return &Failure{Code: CodeUsage, Kind: KindConfig, Message: fmt.Sprintf(format, args...)}
}

// hint adds what to do.
func (f *Failure) hint(format string, args ...any) *Failure {
	f.Hint = fmt.Sprintf(format, args...)
	return f
}

// report writes err to standard error and returns its exit code.
func (a *app) report(err error, asJSON bool) Code {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Code: CodeMachine, Kind: KindInternal, Message: err.Error()}
	}
	if f.Shown {
		return f.Code
	}
	if asJSON {
		type object struct {
			V       int    `json:"v"`
			Type    string `json:"type"`
			Code    Kind   `json:"code"`
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
			Next    string `json:"next,omitempty"`
			Doc     string `json:"doc,omitempty"`
		}
		line, _ := json.Marshal(object{1, "error", f.Kind, f.Message, f.Hint, f.Next, f.Doc})
		fmt.Fprintf(a.Err, "%s\n", line)
		return f.Code
	}
	fmt.Fprintf(a.Err, "%s %s\n", a.paint(a.Err, red, "ottpay:"), f.Message)
	if f.Hint != "" {
		fmt.Fprintf(a.Err, "  hint: %s\n", f.Hint)
	}
	if f.Next != "" {
		fmt.Fprintf(a.Err, "  next: %s\n", f.Next)
	}
	return f.Code
}

// cause returns what the system says, without the path that the message names.
func cause(err error) string {
	var number syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.As(err, &number):
		return number.Error()
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// unreadable returns the failure of a file that was named and cannot be read.
func unreadable(what, name string, err error) *Failure {
	return configf("cannot read %s %s: %s", what, name, cause(err))
}

// flagError turns what the parser says into a usage error.
func (a *app) flagError(cmd *cobra.Command, err error) error {
	f := &Failure{Code: CodeUsage, Kind: KindUsage, Message: err.Error(), Hint: cmd.CommandPath() + " --help"}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return f
	}
	name := unknown.GetSpecifiedName()
	if secretFlag(name) {
		f.Message = "there is no --" + name + ": arguments can be read by every process on this machine"
		f.Hint = "--keys FILE, or OTTPAY_SIGN_KEY"
		return f
	}
	if unknown.GetSpecifiedShortnames() != "" {
		f.Message = "unknown flag -" + name
		return f
	}
	f.Message = "unknown flag --" + name
	var names []string
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			names = append(names, flag.Name)
		}
	})
	if near := nearest(name, names); near != "" {
		f.Message += "; did you mean --" + near + "?"
	}
	return f
}

// secretFlag reports whether a flag of this name would carry a key.
func secretFlag(name string) bool {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "signkey", "key", "secret", "secretkey", "apikey", "privatekey", "merchantkey", "ottpaysignkey", "password":
		return true
	}
	return false
}

// unknownCommand says that there is no such command below cmd.
func (a *app) unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	f := usagef("unknown command %q", name)
	if near := nearest(name, names); near != "" {
		f.Message += "; did you mean " + near + "?"
	}
	return f.hint("%s --help lists the commands", cmd.CommandPath())
}

// nearest returns the name that differs least from word, or "" if none comes
// near it.
func nearest(word string, names []string) string {
	best, distance := "", 0
	for _, name := range names {
		d := page.Edits(strings.ToLower(word), strings.ToLower(name))
		if len(word) >= 3 && strings.HasPrefix(strings.ToLower(name), strings.ToLower(word)) {
			d = min(d, 1)
		}
		if len(name) >= 3 && strings.Contains(strings.ToLower(word), strings.ToLower(name)) {
			d = min(d, 2)
		}
		// A third of the letters may differ, and always one.
		if d <= max(1, max(len(word), len(name))/3) && (best == "" || d < distance) {
			best, distance = name, d
		}
	}
	return best
}
