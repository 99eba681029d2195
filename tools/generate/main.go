// Command generate makes everything under gen/, the client's methods, the
// validation rules and docs/actions.md from openapi/ottpay.yaml.
//
//	go generate ./...
//
// at the root runs it. It imports nothing of the module it generates for, so
// that a deleted gen/ can be brought back. The same input gives the same bytes.
//
// In a module of a shop's own it makes the types that an overlay changes or adds:
//
//	go run github.com/ottpaykit/ottpay/tools/generate@latest -overlay ottpay.overlay.yaml -out internal/ottapi
//
// docs/guides/own-fields.md shows how.
package main

import (
	"errors"
	"flag"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	root := flag.String("root", "", "directory of the root module; if empty, .. or, with -overlay, the module's that is used here")
	force := flag.Bool("force", false, "write the files even if the code that is written by hand does not compile with them")
	overlay := flag.String("overlay", "", "make a shop's own types from this overlay of the document")
	out := flag.String("out", "", "with -overlay: the directory of the package")
	pkg := flag.String("package", "", "with -overlay: the name of the package; if empty, the directory's")
	flag.Parse()
	err := errors.New("-out and -package go with -overlay, and -overlay with -out")
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("what is %q?", flag.Arg(0))
	case *overlay != "" && *out != "":
		err = shop(*root, *overlay, *out, *pkg, *force)
	case *overlay == "" && *out == "" && *pkg == "":
		if *root == "" {
			*root = ".."
		}
		err = run(*root, *force)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// shop makes a shop's own types.
func shop(root, overlay, out, pkg string, force bool) error {
	if root == "" {
		var err error
		if root, err = moduleRoot(); err != nil {
			return err
		}
	}
	if pkg == "" {
		abs, err := filepath.Abs(out)
		if err != nil {
			return err
		}
		pkg = strings.ToLower(strings.ReplaceAll(filepath.Base(abs), "-", ""))
	}
	if !token.IsIdentifier(pkg) {
		return fmt.Errorf("%q is not a package's name: give one with -package", pkg)
	}
	o := &own{root: root, overlay: overlay, out: out, pkg: pkg, force: force}
	return o.run()
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
