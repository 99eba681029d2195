package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const referencePage = "../../../../docs/cli.md"

// TestReference: docs/cli.md is what the commands say, and has every command,
// every flag and every kind of object.
func TestReference(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, Reference()) {
		t.Error("docs/cli.md is not what the commands say: run go generate .")
	}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.HasParent() && cmd.IsAvailableCommand() && cmd.Name() != "help" && cmd.Annotations["topic"] == "" {
			_, section, ok := strings.Cut(string(page), " "+cmd.CommandPath()+"\n")
			if !ok {
				t.Errorf("%s has no heading", cmd.CommandPath())
			}
			section, _, _ = strings.Cut(section, "\n## ")
			cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
				if !f.Hidden && !strings.Contains(section, "--"+f.Name) {
					t.Errorf("%s --%s is not described", cmd.CommandPath(), f.Name)
				}
			})
			if cmd.Example == "" && !cmd.HasSubCommands() {
				t.Errorf("%s has no example", cmd.CommandPath())
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&app{}))
	for _, o := range objects() {
		for _, name := range o.types {
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("type %s is not described", name)
			}
		}
	}
}
