package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The test binary is the consumers', too.
func TestMain(m *testing.M) {
	if cfg, ok := consumerConfig(); ok {
		if err := consume(cfg); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A short run on SQLite, which needs no server, goes between the page's markers
// and leaves the rest alone.
func TestLoad(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := options{duration: 200 * time.Millisecond, conns: []int{2}, replicas: []int{1, 2}, only: []string{"sqlite"}, write: page}
	for range 2 {
		if err := run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n" + begin, end + "after\n", "| SQLite, transactional | 2 |", "1 replica | 2 replicas |"} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Errorf("the page:\n%s", text)
	}
	if err := replace(filepath.Join(t.TempDir(), "none.md"), ""); err == nil {
		t.Error("a page that does not exist was written")
	}
}

// What was acknowledged and is not there is found.
func TestJudge(t *testing.T) {
	t.Parallel()
	p, err := kinds[2].open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	p.cells = 7
	for _, step := range []struct {
		insert       string
		acknowledged int64
		ok           bool
	}{
		{"", 0, true},
		{"", 1, false},
		{"INSERT INTO effects VALUES ('L000700000001', 0)", 1, true},
		{"INSERT INTO effects VALUES ('L000800000001', 0)", 2, false}, // of another cell
		{"INSERT INTO effects VALUES ('L000700000002', 0)", 1, true},  // whose answer was lost
		{"INSERT INTO effects VALUES ('L000700000001', 0)", 1, false}, // handled twice
	} {
		if step.insert != "" {
			if _, err := p.db.Exec(step.insert); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.judge(t.Context(), step.acknowledged); (err == nil) != step.ok {
			t.Errorf("%s, %d acknowledged: %v", step.insert, step.acknowledged, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	var got []int
	if err := numbers(&got)("2,8,32"); err != nil || !slices.Equal(got, []int{2, 8, 32}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "0", "a", "1,,2", "-1"} {
		if err := numbers(&got)(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
