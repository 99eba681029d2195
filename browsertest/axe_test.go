package browsertest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// axe-core is not part of this repository (MPL-2.0). It comes from the npm
// registry, once, into a directory that git ignores.
const (
	axeVersion = "4.14.0"
	axeSHA256  = "20c09fe157a8a34a30e241aaa1fcdade657734f08ab379ecfbeb7d45cc46e878"
)

var axe = sync.OnceValues(func() (string, error) {
	name := filepath.Join(".cache", "axe-"+axeVersion+".min.js")
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		text, err = fetchAxe()
	}
	if err != nil {
		return "", err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != axeSHA256 {
		return "", errors.New("axe-core is not the one that was expected")
	}
	if err := os.MkdirAll(".cache", 0o755); err != nil {
		return "", err
	}
	return string(text), os.WriteFile(name, text, 0o644)
})

// fetchAxe has npm fetch the package and takes the script out of it.
func fetchAxe() ([]byte, error) {
	dir, err := os.MkdirTemp("", "axe")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", dir, "axe-core@"+axeVersion).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("npm does not bring axe-core: %w\n%s", err, out)
	}
	packed, err := os.ReadFile(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("no axe.min.js in the package: %w", err)
		}
		if h.Name == "package/axe.min.js" {
			return io.ReadAll(io.LimitReader(r, 4<<20))
		}
	}
}

// finding is what axe says of a page.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// judge runs axe on the page: every rule of WCAG 2.2 AA and of good practice, or
// those of colors alone.
func (b *tab) judge(colors bool) []finding {
	b.t.Helper()
	script, err := axe()
	if err != nil {
		if os.Getenv("CI") == "true" {
			b.t.Fatal("CI has to have axe-core: ", err)
		}
		b.t.Skip("axe-core is not here, and does not come: ", err)
	}
	if !eval[bool](b, "!!window.axe") {
		eval[any](b, script+"; 0")
	}
	rules := `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	if colors {
		rules = `{type: "rule", values: ["color-contrast", "link-in-text-block"]}`
	}
	return eval[[]finding](b, `axe.run(document, {runOnly: `+rules+`, resultTypes: ["violations"], preload: false, selectors: false}).then((r) => r.violations)`)
}

// screens are the paths of every screen, in a sandbox that has something to show
// on each.
func screens(b *box) []string {
	b.t.Helper()
	paid := b.make(api.ActionH5PAY, nil)
	b.pay(paid)
	if _, err := b.g.Tamper(paid, ottpaytest.CallbackDigest); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.g.Merchant(merchantID).Refund(paid, 500); err != nil {
		b.t.Fatal(err)
	}
	checkout := b.make(api.ActionPREPAY_INIT, nil)
	mini := b.make(api.ActionMAPPPAY, nil)
	open := b.make(api.ActionACTIVEPAY, nil)
	if _, err := b.g.Arm(ottpaytest.Fault{Kind: ottpaytest.FaultDrop, Action: api.ActionREFUND, By: "the test"}); err != nil {
		b.t.Fatal(err)
	}
	deliveries := b.g.Deliveries(paid)
	out := []string{
		"/", "/?q=none", "/new", orderPath(paid), orderPath(open), orderPath(checkout),
		"/messages/" + itoa(deliveries[0].Seq), "/messages/" + itoa(deliveries[1].Seq),
		"/deliveries", "/faults", "/explain", "/settings", "/nothing",
		payPath(checkout), payPath(open), payPath(paid), miniPath(mini), "/pay/",
	}
	events, _ := b.g.Events(0)
	for _, e := range events {
		if e.Type == ottpaytest.EventRequestReceived {
			return append(out, "/messages/"+itoa(e.Message))
		}
	}
	return out
}

// TestAccessible: axe finds nothing serious on any screen, light or dark, on a
// phone or a desktop. Without -whole it looks at a part of those on a phone and in
// the dark.
func TestAccessible(t *testing.T) {
	t.Parallel()
	b, empty := newBox(t, nil), newBox(t, nil)
	paths := append(screens(b), empty.url+"/", empty.url+"/deliveries", empty.url+"/faults")
	for name, v := range map[string]view{"desktop": desktop, "phone": {width: 360, height: 740, touch: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newTab(t, b.url, v)
			for i, path := range paths {
				if v.touch && !*whole && i%3 != 0 {
					continue // the layout of a phone is the same for many
				}
				p.open(path)
				eval[any](p, `document.querySelectorAll("details").forEach((d) => { d.open = true; }), 0`)
				for _, dark := range []bool{false, true} {
					if dark && !*whole && (v.touch || i%2 != 0) {
						continue // colors are few, and shared by all screens
					}
					v.dark = dark
					p.look(v)
					p.judged(path, p.judge(dark)) // what is not a matter of colors is the same in the dark
				}
			}
			// A page that is not fit fails.
			eval[any](p, `document.body.insertAdjacentHTML("beforeend", "<img src='data:,'><button></button>"), 0`)
			if len(p.judge(false)) == 0 {
				t.Error("axe has nothing to say of a picture and a button without a name")
			}
		})
	}
}

// judged fails the test for what is serious.
func (b *tab) judged(path string, findings []finding) {
	b.t.Helper()
	for _, f := range findings {
		if f.Impact != "serious" && f.Impact != "critical" {
			b.t.Logf("%s: %s: %s (%s)", path, f.Impact, f.Help, f.ID)
			continue
		}
		for _, n := range f.Nodes {
			b.t.Errorf("%s: %s: %s (%s)\n%s\n%s", path, f.Impact, f.Help, f.ID, n.HTML, n.FailureSummary)
		}
	}
}
