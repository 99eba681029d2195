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
	text, err := io.ReadAll(io.LimitReader(a.In, maxInput+1))
	if err != nil {
		return nil, configf("cannot read standard input: %s", cause(err))
	}
	return text, nil
}
