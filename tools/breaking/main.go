// Command breaking compares openapi/ottpay.yaml with that of the last release
// and fails if a change breaks what stands on it, unless the document's version
// says so: the first number of info.version has grown.
//
//	go run -C tools ./breaking
//
// Without a release there is nothing to compare, which is not a failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ottpaykit/ottpay/tools/drift"
)

func main() {
	root := flag.String("root", "..", "directory of the root module")
	against := flag.String("against", "", "commit or tag to compare with; if empty, the last tag of a release")
	flag.Parse()
	ok, err := run(os.Stdout, *root, *against)
	if err != nil {
		fmt.Fprintln(os.Stderr, "breaking:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

const (
	document = "openapi/ottpay.yaml"
	overlay  = "openapi/go.overlay.yaml"
)

// run reports whether the document may be released as it is.
func run(out io.Writer, root, against string) (bool, error) {
	if against == "" {
		tag, err := lastTag(root)
		if err != nil {
			return false, err
		}
		if tag == "" {
			fmt.Fprintln(out, "breaking: there is no release yet, so nothing can break")
			return true, nil
		}
		against = tag
	}
	was, err := show(root, against, document)
	if err != nil {
		return false, err
	}
	wasOverlay, err := show(root, against, overlay)
	if err != nil {
		return false, err
	}
	old, err := drift.ReadDocument(against+":"+document, was)
	if err != nil {
		return false, err
	}
	is, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(document)))
	if err != nil {
		return false, err
	}
	isOverlay, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(overlay)))
	if err != nil {
		return false, err
	}
	now, err := drift.ReadDocument(document, is)
	if err != nil {
		return false, err
	}
	changes, err := old.Breaking(now, wasOverlay, isOverlay)
	if err != nil {
		return false, err
	}
	for _, c := range changes {
		fmt.Fprintln(out, c)
	}
	switch {
	case len(changes) == 0:
		fmt.Fprintf(out, "breaking: nothing breaks since %s\n", against)
		return true, nil
	case old.AllowsBreaking(now):
		fmt.Fprintf(out, "breaking: %d changes since %s break, and version %s says so\n", len(changes), against, now.Version())
		return true, nil
	}
	fmt.Fprintf(out, "breaking: %d changes since %s break: undo them, or raise the first number of info.version, which is %s as it was\n", len(changes), against, now.Version())
	return false, nil
}

// lastTag returns the newest tag of a release of the root module that is an
// ancestor of HEAD, or "".
func lastTag(root string) (string, error) {
	tags, err := git(root, "tag", "--merged", "HEAD", "--sort=-version:refname", "--list", "v[0-9]*")
	if err != nil {
		return "", err
	}
	for tag := range strings.FieldsSeq(string(tags)) {
		if !strings.Contains(tag, "-") { // a pre-release promises nothing
			return tag, nil
		}
	}
	return "", nil
}

func show(root, commit, file string) ([]byte, error) {
	return git(root, "show", commit+":"+file)
}

func git(root string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(context.Background(), "git", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("git %s: %s", strings.Join(args, " "), strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}
