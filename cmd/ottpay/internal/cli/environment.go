package cli

import (
	"os"
	"strings"
)

// The variables that commands read.
const (
	envMerchant = "OTTPAY_MERCHANT_ID"
	envKey      = "OTTPAY_SIGN_KEY" // and OTTPAY_SIGN_KEY_2, …
	envKeysFile = "OTTPAY_KEYS_FILE"
	envOperator = "OTTPAY_OPERATOR_ID"
	envBaseURL  = "OTTPAY_BASE_URL"
	envSandbox  = "OTTPAY_SANDBOX"
	envAddr     = "OTTPAY_ADDR"
	envToken    = "OTTPAY_TOKEN"
)

// getenv returns a variable of the environment, or of --env-file where the
// environment has none, or "".
func (a *app) getenv(name string) string {
	if v, ok := a.LookupEnv(name); ok {
		return v
	}
	return a.fileEnv[name]
}

// fallback returns the flag's value, else the variable's, else other.
func (a *app) fallback(flag, name, other string) string {
	if flag != "" {
		return flag
	}
	if v := a.getenv(name); v != "" {
		return v
	}
	return other
}

// readEnvFile reads lines of NAME=value. A # begins a comment line, export may
// stand in front, and one pair of quotes around a value is taken off. Nothing
// is expanded.
func readEnvFile(name string) (map[string]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, unreadable("the file of variables", name, err)
	}
	env := make(map[string]string)
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" || strings.ContainsAny(key, " \t\"'") {
			// The line is not shown: it may hold a key.
			return nil, configf("line %d of %s is not NAME=value", number, name)
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		env[key] = value
	}
	return env, nil
}
