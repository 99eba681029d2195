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
	force := flag.Bool("force", false, "write the files even if the code that is written by hand does not compile with them")
	flag.Parse()
	if err := run(*root, *force); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run generates into the module at root. Nothing is written unless everything
// could be made and, without force, compiles.
func run(root string, force bool) error {
	doc, err := load(root)
	if err != nil {
		return err
	}
	m, err := newModel(doc, root)
	if err != nil {
		return err
	}
	files, err := render(m, root)
	if err != nil {
		return err
	}
	if !force {
		if err := compile(root, files); err != nil {
			return err
		}
	}
	return write(root, files)
}
