package cli

import (
	"io"
	"os"

	"github.com/spf13/cobra"
)

// maxInput bounds what a filter reads: the longest message is 1 MiB, and its
// container may be longer.
const maxInput = 4 << 20

// input reads the file that the first argument names, else standard input. A
// terminal is not read: the command would seem to hang.
func (a *app) input(cmd *cobra.Command, args []string, what string) ([]byte, error) {
	if len(args) > 0 && args[0] != "-" {
		f, err := os.Open(args[0])
		if file, seq, ok := splitSeq(args[0]); ok && err != nil {
			return a.message(cmd, file, seq)
		}
		if err != nil {
			return nil, unreadable(what, args[0], err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxInput+1))
		if err != nil {
			return nil, unreadable(what, args[0], err)
		}
		return text, nil
	}
	if a.InTerminal && len(args) == 0 {
		a.concise(a.Err, cmd)
		return nil, usagef("reading %s from standard input needs one: %s FILE, or pipe it in", what, cmd.CommandPath())
	}
	if a.In == nil {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(a.In, maxInput+1))
	if err != nil {
		return nil, configf("cannot read standard input: %s", cause(err))
	}
	return text, nil
}

// message returns a message of a record (FILE#7) or of the running sandbox
// (#7).
func (a *app) message(cmd *cobra.Command, file string, seq uint64) ([]byte, error) {
	if file == "" {
		return a.fromSandbox(cmd.Context(), seq)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, unreadable("the record", file, err)
	}
	return fromRecord(text, seq)
}
