// Command generate makes everything under gen/, the client's methods, the
// validation rules and docs/actions.md from openapi/ottpay.yaml.
//
//	go generate ./...
//
// at the root runs it. It imports nothing of the module it generates for, so
// that a deleted gen/ can be brought back. The same input gives the same bytes.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", "..", "directory of the root module")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run generates into the module at root. Nothing is written unless everything
// could be made.
func run(root string) error {
	doc, err := load(root)
	if err != nil {
		return err
	}
	m, err := newModel(doc)
	if err != nil {
		return err
	}
	files, err := render(m, root)
	if err != nil {
		return err
	}
	return write(root, files)
}
