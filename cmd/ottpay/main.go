// Command ottpay runs OTT Pay's gateway on this machine and explains its
// messages: a sandbox with a web page and an API, filters that seal, open and
// explain envelopes, and tools that send callbacks to a shop and receive them.
//
// docs/cli.md describes every command, docs/tutorial.md walks through them.
package main

import (
	"os"

	"github.com/mattn/go-isatty"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/cli"
)

func main() {
	os.Exit(cli.Main(cli.System{
		In:          os.Stdin,
		Out:         os.Stdout,
		Err:         os.Stderr,
		LookupEnv:   os.LookupEnv,
		InTerminal:  terminal(os.Stdin),
		OutTerminal: terminal(os.Stdout),
		ErrTerminal: terminal(os.Stderr),
	}, os.Args[1:]))
}

func terminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) }
