package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/openapi"
	"github.com/ottpaykit/ottpay/tools/drift"
	"github.com/ottpaykit/ottpay/tools/page"
)

func newDocs(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "compares the vendor's documentation with the kit's document",
		Example: `  ottpay docs diff https://docs.ottpay.com/payment-api/query-transaction-api-1
  ottpay docs import new-action.md`,
	}
	cmd.AddCommand(newDocsDiff(a), newDocsImport(a))
	return cmd
}

// docsFlags are what the commands below docs share.
type docsFlags struct {
	document, wording, address string
}

func (f *docsFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.document, "document", "", "compare with the document in `FILE`; if empty, with the one in this program")
	flags.StringVar(&f.address, "address", "", "the `URL` of the page, where it is read from a file")
	_ = cmd.MarkFlagFilename("document", "yaml", "yml")
}

// read returns the document that was asked for.
func (f *docsFlags) read() (*drift.Document, error) {
	name, source := "openapi/ottpay.yaml", openapi.Document()
	if f.document != "" {
		data, err := os.ReadFile(f.document)
		if err != nil {
			return nil, unreadable("the document", f.document, err)
		}
		name, source = f.document, data
	}
	d, err := drift.ReadDocument(name, source)
	if err != nil {
		return nil, configf("%v", err)
	}
	return d, nil
}

// words returns the record of the vendor's words: wording.yaml beside the
// document, or the one in this program.
func (f *docsFlags) words() (*drift.Words, error) {
	source := openapi.Wording()
	f.wording = "openapi/wording.yaml"
	if f.document != "" {
		f.wording = filepath.Join(filepath.Dir(f.document), "wording.yaml")
		var err error
		if source, err = os.ReadFile(f.wording); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, unreadable("the record of the vendor's words", f.wording, err)
		}
	}
	w, err := drift.ReadWords(f.wording, source)
	if err != nil {
		return nil, configf("%v", err)
	}
	return w, nil
}

func newDocsDiff(a *app) *cobra.Command {
	var from docsFlags
	var sarif, github, wording, all, write, kinds bool
	cmd := &cobra.Command{
		Use:   "diff PAGE...",
		Short: "says what changed on the vendor's pages",
		Long: `diff reads pages of the vendor's documentation and compares what they say with
the document from which the kit is generated: members, what is required,
constants, versions, codes, lengths, types and examples. A PAGE is a file, a
folder, a URL, or - for standard input: Markdown, HTML, or the text that a page
becomes when it is copied. For a URL the Markdown is asked for first, PAGE.md.

Known differences are recorded in the document, as x-ottpay-decision, and are
reported again when the page changes there. A page that catches up with the
document is not reported.

Exit codes: 0 the pages say what the document says, 1 they do not, 2 a page
cannot be read, or wrong use. With --json, one object a line for each finding.`,
		Example: `  ottpay docs diff https://docs.ottpay.com/payment-api/query-transaction-api-1
  ottpay docs diff --github pages/
  ottpay docs diff --document openapi/ottpay.yaml --write page.md`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if kinds {
				return a.findingKinds()
			}
			if len(args) == 0 {
				return usagef("docs diff needs a page: a file, a folder, a URL, or - for standard input").hint("ottpay docs diff --help")
			}
			if sarif && github || a.json && (sarif || github) {
				return usagef("--json, --sarif and --github exclude each other")
			}
			if write && from.document == "" {
				return usagef("--write changes a document: name it with --document")
			}
			if from.address != "" && len(args) > 1 {
				return usagef("--address is for one page")
			}
			return a.docsDiff(cmd.Context(), &from, args, diffOptions{sarif: sarif, github: github, wording: wording, all: all, write: write})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&write, "write", false, "apply the safe part to the document, and mark the rest in it")
	flags.BoolVar(&wording, "wording", false, "report changed descriptions and notes, too")
	flags.BoolVar(&all, "all", false, "these are all pages: report schemas that none of them describes")
	flags.BoolVar(&sarif, "sarif", false, "print SARIF 2.1.0")
	flags.BoolVar(&github, "github", false, "print annotations for GitHub's workflows")
	flags.BoolVar(&kinds, "kinds", false, "list the kinds of findings")
	from.add(cmd)
	return cmd
}

type diffOptions struct {
	sarif, github, wording, all, write bool
}

func (a *app) docsDiff(ctx context.Context, from *docsFlags, args []string, o diffOptions) error {
	d, err := from.read()
	if err != nil {
		return err
	}
	words, err := from.words()
	if err != nil {
		return err
	}
	pages, err := a.pages(ctx, d, from.address, args)
	if err != nil {
		return err
	}
	found := d.Diff(pages, drift.Options{Wording: o.wording, Words: words, All: o.all})
	switch {
	case a.json:
		err = a.findings(found)
	case o.sarif:
		err = d.WriteSARIF(a.Out, found)
	case o.github:
		err = d.WriteGitHub(a.Out, found)
	default:
		err = d.Report(a.Out, found)
	}
	if err != nil {
		return err
	}
	if o.write {
		if err := a.writeDocument(d, from, words, pages, found, o); err != nil {
			return err
		}
	}
	unread := 0
	for i := range found {
		if found[i].Unreadable() {
			unread++
		}
	}
	if !a.quiet && !a.json {
		fmt.Fprintf(a.Err, "%s, %s", counted(len(pages), "page"), counted(len(found)-unread, "difference"))
		if unread > 0 {
			fmt.Fprintf(a.Err, ", %d cannot be read", unread)
		}
		fmt.Fprintln(a.Err)
	}
	switch {
	case unread > 0:
		return &Failure{Code: CodeUsage, Kind: KindIO, Message: "a page cannot be read", Shown: true}
	case len(found) > 0:
		return &Failure{Code: CodeNo, Kind: KindRefused, Message: "the pages differ from the document", Shown: true}
	}
	return nil
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (a *app) writeDocument(d *drift.Document, from *docsFlags, words *drift.Words, pages []*page.Page, found []drift.Finding, o diffOptions) error {
	edit, err := d.Apply(found)
	if err != nil {
		return configf("%v", err)
	}
	if err := replaceFile(from.document, edit.Source); err != nil {
		return err
	}
	if o.wording {
		d.Record(words, pages)
		text, err := words.YAML()
		if err != nil {
			return err
		}
		if err := replaceFile(from.wording, text); err != nil {
			return err
		}
	}
	if !a.quiet {
		fmt.Fprintf(a.Err, "%s: %d applied, %d marked for a person, %d without a line\n", from.document, len(edit.Done), len(edit.Marked), len(edit.Open))
	}
	return nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(name), ".ottpay-*")
	if err != nil {
		return &Failure{Code: CodeMachine, Kind: KindIO, Message: "cannot write " + name + ": " + cause(err)}
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // gone, if it was renamed
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	_, err = temporary.Write(data)
	err = errors.Join(err, temporary.Chmod(mode), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		return &Failure{Code: CodeMachine, Kind: KindIO, Message: "cannot write " + name + ": " + cause(err)}
	}
	return nil
}

// findings prints findings, one a line.
func (a *app) findings(all []drift.Finding) error {
	for _, f := range all {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.Out, `{"v":1,"type":"finding",%s`+"\n", line[1:]); err != nil {
			return err
		}
	}
	return nil
}

// findingKinds lists the kinds, one a line.
func (a *app) findingKinds() error {
	for _, k := range drift.Kinds() {
		var err error
		if a.json {
			err = a.object(struct {
				V    int        `json:"v"`
				Type string     `json:"type"`
				Kind drift.Kind `json:"kind"`
				Text string     `json:"text"`
			}{1, "kind", k, k.Text()})
		} else {
			_, err = fmt.Fprintf(a.Out, "%-24s %s\n", k, k.Text())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	maxPage  = 4 << 20
	maxPages = 1000
)

// pages reads what the arguments name, in their order.
func (a *app) pages(ctx context.Context, d *drift.Document, address string, args []string) ([]*page.Page, error) {
	var out []*page.Page
	for _, arg := range args {
		switch {
		case arg == "-":
			data, err := io.ReadAll(io.LimitReader(a.In, maxPage))
			if err != nil {
				return nil, unreadable("the page", "on standard input", err)
			}
			out = append(out, d.Read("-", address, data))
		case isURL(arg):
			out = append(out, fetchPage(ctx, d, arg))
		default:
			files, err := pageFiles(arg)
			if err != nil {
				return nil, unreadable("the page", arg, err)
			}
			for _, name := range files {
				data, err := os.ReadFile(name)
				if err != nil {
					return nil, unreadable("the page", name, err)
				}
				if len(data) > maxPage {
					return nil, configf("%s is longer than %d MiB: no page is", name, maxPage>>20)
				}
				out = append(out, d.Read(name, address, data))
			}
		}
	}
	if len(out) == 0 {
		return nil, configf("no page in %s", strings.Join(args, ", ")).hint("pages are files that end in .md, .markdown, .txt, .html or .htm")
	}
	return out, nil
}

// pageFiles returns a file's own name, or the pages below a folder, sorted.
func pageFiles(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return []string{name}, err
	}
	var out []string
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != name {
			return fs.SkipDir
		}
		ext := strings.ToLower(filepath.Ext(path))
		if !entry.IsDir() && slices.Contains([]string{".md", ".markdown", ".txt", ".html", ".htm"}, ext) {
			out = append(out, path)
		}
		if len(out) > maxPages {
			return fmt.Errorf("more than %d pages", maxPages)
		}
		return nil
	})
	return out, err
}

// fetchPage gets a page, as Markdown where the server has it. A page that
// cannot be fetched is a page that cannot be read, not a failure: the others
// are still compared.
func fetchPage(ctx context.Context, d *drift.Document, address string) *page.Page {
	plain, tries := addresses(address)
	var last *page.Page
	for _, try := range tries {
		data, err := fetch(ctx, try)
		if err != nil {
			if last == nil || last.Problem == "" {
				last = &page.Page{Name: address, Address: plain, Problem: err.Error()}
			}
			continue
		}
		p := d.Read(address, plain, data)
		if p.Problem == "" {
			return p
		}
		last = p
	}
	return last
}

func isURL(arg string) bool {
	return strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://")
}

// addresses returns the page's own address and where to look for it: as
// Markdown first.
func addresses(address string) (plain string, tries []string) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address, []string{address}
	}
	u.Fragment, u.RawQuery = "", ""
	ext := filepath.Ext(u.Path)
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".md")
	plain = u.String()
	if ext == "" {
		return plain, []string{plain + ".md", address}
	}
	return plain, []string{address}
}

func fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	request.Header.Set("Accept", "text/markdown, text/plain;q=0.9, text/html;q=0.8, */*;q=0.1")
	request.Header.Set("User-Agent", "ottpay-docs/"+version())
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the server does not answer: %s", cause(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d", response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	if err != nil {
		return nil, errors.New("the connection broke off in the middle of the page")
	}
	return data, nil
}

func newDocsImport(a *app) *cobra.Command {
	var from docsFlags
	var name string
	var write bool
	cmd := &cobra.Command{
		Use:   "import PAGE",
		Short: "drafts the schemas of an action that the document lacks",
		Long: `import reads one page of the vendor's documentation and drafts what the document
needs to know of its action: the entry, and the schemas of request, answer and
callback. Where the page contradicts itself, the draft follows its examples and
records a decision.

The draft is printed, or put into the document with --write. Read it before you
generate from it: a page does not say whether an action may move money.`,
		Example: `  ottpay docs import --address https://docs.ottpay.com/payment-api/x x.md
  ottpay docs import --document openapi/ottpay.yaml --name WapPay --write x.md`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if write && from.document == "" {
				return usagef("--write changes a document: name it with --document")
			}
			return a.docsImport(cmd.Context(), &from, args[0], name, write)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&write, "write", false, "put the draft into the document")
	flags.StringVar(&name, "name", "", "the `NAME` of the client's method, such as WapPay")
	from.add(cmd)
	return cmd
}

func (a *app) docsImport(ctx context.Context, from *docsFlags, arg, name string, write bool) error {
	if name != "" && !goName.MatchString(name) {
		return usagef("--name is an exported name of Go, such as WapPay")
	}
	d, err := from.read()
	if err != nil {
		return err
	}
	source, err := a.onePage(ctx, arg)
	if err != nil {
		return err
	}
	address := from.address
	if address == "" {
		address = source.address
	}
	draft, err := d.Import(source.name, source.data, drift.ImportOptions{Name: name, Address: address})
	if err != nil {
		return configf("%v", err)
	}
	overlay := ""
	if draft.Overlay != "" {
		overlay = "go.overlay.yaml"
	}
	switch {
	case a.json:
		err = a.object(struct {
			V       int      `json:"v"`
			Type    string   `json:"type"`
			Action  string   `json:"action"`
			YAML    string   `json:"yaml"`
			Overlay string   `json:"overlay,omitempty"`
			Review  []string `json:"review"`
		}{1, "draft", draft.Action, draft.Text, draft.Overlay, append([]string{}, draft.Notes...)})
	case !write:
		_, err = fmt.Fprint(a.Out, draft.Text)
		if err == nil && overlay != "" {
			_, err = fmt.Fprintf(a.Out, "\n# %s\n%s", overlay, draft.Overlay)
		}
	}
	if err != nil {
		return err
	}
	if write {
		if err := replaceFile(from.document, draft.Source); err != nil {
			return err
		}
		if overlay != "" {
			path := filepath.Join(filepath.Dir(from.document), overlay)
			text, err := os.ReadFile(path)
			if err != nil {
				return unreadable("the overlay", path, err)
			}
			if err := replaceFile(path, append(append(text, '\n'), draft.Overlay...)); err != nil {
				return err
			}
		}
		a.talk("%s: %s is drafted; read it, then run go generate", from.document, draft.Action)
	}
	for _, note := range draft.Notes {
		a.talk("review: %s", note)
	}
	return nil
}

var goName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)

// pageSource is a page before it is read.
type pageSource struct {
	name, address string
	data          []byte
}

// onePage gets the page that an argument names.
func (a *app) onePage(ctx context.Context, arg string) (pageSource, error) {
	switch {
	case arg == "-":
		data, err := io.ReadAll(io.LimitReader(a.In, maxPage))
		if err != nil {
			return pageSource{}, unreadable("the page", "on standard input", err)
		}
		return pageSource{"-", "", data}, nil
	case isURL(arg):
		address, tries := addresses(arg)
		var last error
		for _, try := range tries {
			data, err := fetch(ctx, try)
			if err == nil {
				return pageSource{arg, address, data}, nil
			}
			last = err
		}
		return pageSource{}, configf("cannot read %s: %v", arg, last)
	}
	data, err := os.ReadFile(arg)
	if err != nil {
		return pageSource{}, unreadable("the page", arg, err)
	}
	return pageSource{arg, "", data}, nil
}
