package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// checkObject returns what is wrong with a line of JSON that a command printed:
// it must be one of the documented objects, with the members that are always
// there, no others than the documented ones, and each of its kind.
func checkObject(line string) error {
	var got map[string]any
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		return fmt.Errorf("not one JSON object: %w", err)
	}
	name, _ := got["type"].(string)
	all := objects()
	i := slices.IndexFunc(all, func(o objectKind) bool { return slices.Contains(o.types, name) })
	if i < 0 {
		return fmt.Errorf("type %q is not documented", name)
	}
	if got["v"] != 1.0 {
		return fmt.Errorf("v is %v", got["v"])
	}
	known := map[string]string{"v": "integer", "type": "string"}
	for _, m := range all[i].members {
		key, optional := strings.CutSuffix(m.name, "?")
		known[key] = m.kind
		if _, ok := got[key]; !ok && !optional {
			return fmt.Errorf("%s lacks %s", name, key)
		}
	}
	for key, v := range got {
		kind, ok := known[key]
		if !ok {
			return fmt.Errorf("%s has %s, which is not documented", name, key)
		}
		if !isKind(v, kind) {
			return fmt.Errorf("%s: %s is %v, and not of kind %s", name, key, v, kind)
		}
	}
	return nil
}

func isKind(v any, kind string) bool {
	if of, list := strings.CutSuffix(kind, "[]"); list {
		all, ok := v.([]any)
		return ok && !slices.ContainsFunc(all, func(v any) bool { return !isKind(v, of) })
	}
	switch v := v.(type) {
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "integer" && v == float64(int64(v))
	case map[string]any:
		return kind == "object"
	}
	return false // null among them: what is unknown is absent
}

// checkObjects checks all that a command printed with --json.
func checkObjects(t testing.TB, args []string, got result) {
	t.Helper()
	if !slices.Contains(args, "--json") || slices.Contains(args, "__complete") {
		return
	}
	for _, text := range []string{got.out, got.err} {
		for line := range strings.Lines(text) {
			if err := checkObject(line); err != nil {
				t.Errorf("ottpay %s: %v\n%s", strings.Join(args, " "), err, line)
			}
		}
	}
}

// TestObjectCheck: the check finds what it is there for.
func TestObjectCheck(t *testing.T) {
	t.Parallel()
	const good = `{"v":1,"type":"rate","currency":"CAD","rate":"5.2"}`
	if err := checkObject(good); err != nil {
		t.Error(err)
	}
	for name, line := range map[string]string{
		"no v":          strings.Replace(good, `"v":1,`, "", 1),
		"another type":  strings.Replace(good, `"rate",`, `"ratio",`, 1),
		"a member less": strings.Replace(good, `,"rate":"5.2"`, "", 1),
		"a member more": strings.Replace(good, `"v":1,`, `"v":1,"x":"",`, 1),
		"a number":      strings.Replace(good, `"5.2"`, `5.2`, 1),
		"null":          strings.Replace(good, `"5.2"`, `null`, 1),
		"two":           good + good,
	} {
		if checkObject(line) == nil {
			t.Errorf("%s: %s passes", name, line)
		}
	}
}

// TestEveryCommandHasJSON runs every command with --json; invoke checks what it
// prints.
func TestEveryCommandHasJSON(t *testing.T) {
	t.Parallel()
	base := startSandbox(t)
	env := map[string]string{"OTTPAY_SANDBOX": base, "OTTPAY_BASE_URL": base + "/processV2", "OTTPAY_MERCHANT_ID": demoMerchant, "OTTPAY_SIGN_KEY": demoKey}
	shop := startListen(t)
	sealed := invoke(t, env, `{"order_id":"A1"}`, "seal").out
	draft := strings.Replace(vendorPage(t, "h5-payment"), "H5PAY", "WAPPAY", 1)
	seen := make(map[string]bool)
	for _, c := range []struct {
		args, stdin string
		code        int
	}{
		{"sandbox --print-env", "", 0},
		{"seal", `{"order_id":"A1"}`, 0},
		{"open", sealed, 0},
		{"open", strings.Replace(sealed, `"md5":"`, `"md5":"0`, 1), 1},
		{"explain --kind callback", sealed, 1},
		{"explain", sealed, 0},
		{"explain --codes", "", 0},
		{"trigger --to " + shop, "", 0},
		{"trigger --dry-run", "", 0},
		{"trigger --to http://127.0.0.1:1/", "", 1},
		{"call H5PAY --fill order_id=A1001", "", 0},
		{"call H5PAY --fill order_id=A1001", "", 1},
		{"call H5PAY --dry-run --fill", "", 0},
		{"rates CAD", "", 0},
		{"doctor --callback " + shop, "", 0},
		{"faults", "", 0},
		{"faults callback:digest", "", 0},
		{"health " + base, "", 0},
		{"health http://127.0.0.1:1", "", 1},
		{"docs diff --kinds", "", 0},
		{"docs import -", draft, 0},
		{"version", "", 0},
		{"frobnicate", "", 2},
	} {
		args := append(strings.Fields(c.args), "--json")
		got := invoke(t, env, c.stdin, args...)
		if got.code != c.code || got.out+got.err == "" {
			t.Errorf("ottpay %s: %+v; want code %d", strings.Join(args, " "), got, c.code)
		}
		seen[args[0]] = true
	}
	for _, cmd := range newRoot(&app{}).Commands() {
		// What runs on, and the record of listen, have tests of their own; the
		// script of completion is no JSON.
		if cmd.Annotations["topic"] == "" && !seen[cmd.Name()] && !slices.Contains([]string{"help", "listen", "replay", "completion"}, cmd.Name()) {
			t.Errorf("%s --json is not tested", cmd.Name())
		}
	}
}
