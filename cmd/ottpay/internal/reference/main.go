// Command reference writes docs/cli.md, the reference of the command line.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reference FILE")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(cli.Reference())
	return errors.Join(err, f.Close())
}
