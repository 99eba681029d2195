// Command reference writes docs/cli.md, the reference of the command line.
package main

import (
	"fmt"
	"os"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reference FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], cli.Reference(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
