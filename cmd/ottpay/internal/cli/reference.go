package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Reference returns docs/cli.md, written from the commands themselves. It says
// nothing that --help does not say, but for the JSON objects.
func Reference() []byte {
	root := newRoot(&app{})
	var b strings.Builder
	b.WriteString(`<!-- Code generated from the commands by go generate; DO NOT EDIT. -->

# ottpay

`)
	fmt.Fprintf(&b, "%s\n\n```sh\n%s\n```\n\n", unwrapped(root.Long), outdented(root.Example))
	b.WriteString("| command | |\n| --- | --- |\n")
	var commands, texts []*cobra.Command
	for _, cmd := range root.Commands() {
		switch {
		case cmd.Annotations["topic"] != "":
			texts = append(texts, cmd)
		case cmd.IsAvailableCommand() && cmd.Name() != "help":
			commands = append(commands, cmd)
			fmt.Fprintf(&b, "| [`ottpay %s`](#ottpay-%s) | %s |\n", cmd.Name(), cmd.Name(), cmd.Short)
		}
	}
	fmt.Fprintf(&b, "\nStandard output is the result, standard error is the talk.\nNo command prompts, and none looks for updates or sends usage data.\n\n## Global flags\n\n```text\n%s```\n", root.PersistentFlags().FlagUsagesWrapped(width))
	for _, topic := range texts {
		title, text, _ := strings.Cut(topic.Long, "\n")
		fmt.Fprintf(&b, "\n## %s\n\n```text\n%s\n```\n", title, strings.Trim(text, "\n"))
	}
	b.WriteString("\n### Objects\n\nEvery object has `v` and `type` besides what is listed. A name with a question mark may be absent.\n")
	for _, o := range objects() {
		fmt.Fprintf(&b, "\n**`%s`** of %s: %s.\n\n| member | kind | |\n| --- | --- | --- |\n", strings.Join(o.types, "`, `"), o.commands, o.when)
		for _, m := range o.members {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m.name, m.kind, m.text)
		}
	}
	for _, cmd := range commands {
		reference(&b, cmd, 2)
	}
	return []byte(b.String())
}

// reference writes a command and those below it.
func reference(b *strings.Builder, cmd *cobra.Command, level int) {
	fmt.Fprintf(b, "\n%s %s\n\n`%s` %s.\n", strings.Repeat("#", level), cmd.CommandPath(), useLine(cmd), cmd.Short)
	if cmd.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", outdented(cmd.Example))
	}
	if cmd.Long != "" {
		fmt.Fprintf(b, "\n%s\n", unwrapped(cmd.Long))
	}
	own := cmd.LocalNonPersistentFlags()
	own.SortFlags = cmd.Flags().SortFlags
	if own.HasAvailableFlags() {
		fmt.Fprintf(b, "\n```text\n%s```\n", own.FlagUsagesWrapped(width))
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			reference(b, sub, level+1)
		}
	}
}

// outdented removes the two blanks that examples begin with in a help text.
func outdented(example string) string {
	return strings.TrimPrefix(strings.ReplaceAll(strings.TrimRight(example, "\n"), "\n  ", "\n"), "  ")
}

// unwrapped turns a help text into Markdown: one sentence a line, and what is
// indented as it stands.
func unwrapped(text string) string {
	var out []string
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		var prose, table []string
		for line := range strings.Lines(paragraph) {
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(line, "  ") {
				table = append(table, line)
			} else {
				prose = append(prose, line)
			}
		}
		if len(prose) > 0 {
			sentences := strings.NewReplacer(". ", ".\n", "|", `\|`, "<", "&lt;").Replace(strings.Join(prose, " "))
			out = append(out, sentences)
		}
		if len(table) > 0 {
			out = append(out, "```text\n"+strings.Join(table, "\n")+"\n```")
		}
	}
	return strings.Join(out, "\n\n")
}
