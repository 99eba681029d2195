package browsertest_test

import (
	"context"
	"testing"

	browserdomain "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/ottpaykit/ottpay/gen/api"
)

// TestCopy: the button of each snippet puts that snippet on the clipboard, and
// says so. What the snippets do is tested beside the page.
func TestCopy(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	id := b.make(api.ActionH5PAY, nil)
	b.pay(id)
	p := newTab(t, b.url, desktop)
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		id := chromedp.FromContext(ctx).BrowserContextID
		for _, name := range []string{"clipboard-read", "clipboard-write"} {
			_, err := chromedp.CallBrowser(ctx, browserdomain.SetPermission, browserdomain.SetPermissionParams{
				Permission: &browserdomain.PermissionDescriptor{Name: name}, Setting: "granted", BrowserContextID: id,
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	seq := itoa(b.g.Deliveries(id)[0].Seq)
	copied := 0
	for _, path := range []string{"/", orderPath(id), "/messages/" + seq, payPath(b.make(api.ActionACTIVEPAY, nil))} {
		p.open(path)
		eval[any](p, `document.querySelectorAll("details").forEach((d) => { d.open = true; }), 0`)
		for _, name := range eval[[]string](p, `[...document.querySelectorAll("[data-copy]")].map((e) => e.dataset.copy)`) {
			eval[any](p, `(() => { const e = document.querySelector("[data-copy='`+name+`']"), tab = e.closest(".tab"); if (tab) tab.previousElementSibling.click(); e.scrollIntoView({block: "center"}); })()`)
			p.click(`[data-copy="` + name + `"]`)
			p.wait(`document.querySelector("[data-copy='` + name + `']").innerText === "copied"`)
			got := eval[string](p, "navigator.clipboard.readText()")
			want := eval[string](p, `document.getElementById("`+name+`").textContent`)
			if got != want || got == "" {
				t.Errorf("%s, %s: the clipboard holds %q, want %q", path, name, got, want)
			}
			copied++
		}
	}
	if copied < 8 {
		t.Errorf("only %d snippets have a button", copied)
	}
	p.clean()
}
