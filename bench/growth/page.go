package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// page is the text that is written, and the bounds that were broken on the way.
type page struct {
	bytes.Buffer
	broken []string
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// bytes writes a figure of bytes beside its bound.
func (p *page) bytes(what string, got, most int64) string {
	return p.bound(what, got, most, func(n int64) string { return mib(n) + " MiB" })
}

// count writes a figure beside its bound.
func (p *page) count(what string, got, most int64) string {
	return p.bound(what, got, most, thousands)
}

func (p *page) bound(what string, got, most int64, text func(int64) string) string {
	cell := text(got) + " | " + text(most)
	if got > most {
		p.broken = append(p.broken, fmt.Sprintf("%s: %s, at most %s", what, text(got), text(most)))
		cell = "**" + text(got) + "** | " + text(most)
	}
	return cell
}

// err returns which bounds were broken, or nil.
func (p *page) err() error {
	if len(p.broken) == 0 {
		return nil
	}
	return errors.New("broken bounds:\n  " + strings.Join(p.broken, "\n  "))
}

func mib(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) }

// thousands writes 1000000 as "1 000 000".
func thousands(n int64) string {
	switch {
	case n < 0:
		return "-" + thousands(-n)
	case n < 1000:
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%s %03d", thousands(n/1000), n%1000)
}

// machine says where, when and with which versions the figures were taken, and
// how busy the machine was with other things.
func machine(p *page, command string) {
	p.printf("Measured by `%s` on %s: %s, %s %s/%s, GOMAXPROCS %d%s.\n", command,
		time.Now().UTC().Format(time.DateOnly), processor(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), others())
	if commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		p.printf("Commit %s.\n", strings.TrimSpace(string(commit)))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if strings.HasSuffix(m.Path, "/validator/v10") || m.Path == "golang.org/x/time" {
				p.printf("%s %s.\n", m.Path, m.Version)
			}
		}
	}
}

// processor is the name of the machine's, and how many it has.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return fmt.Sprintf("%s, %d processors", strings.TrimSpace(value), runtime.NumCPU())
		}
	}
	return fmt.Sprintf("%d processors", runtime.NumCPU())
}

// others says how busy the machine is with other things.
func others() string {
	text, err := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	if err != nil || one == "" {
		return ""
	}
	return ", load average " + one + " before it began"
}

// replace writes text between the marks of a part of the page in file.
func replace(file, part, text string) error {
	begin, end := "<!-- "+part+": begin -->\n", "<!-- "+part+": end -->\n"
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no %q and %q", file, begin, end)
	}
	return os.WriteFile(file, []byte(before+begin+"\n"+strings.Trim(text, "\n")+"\n\n"+end+after), 0o644)
}
