package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/envelope"
)

// The vendor publishes this key in its documentation; it is safe to show.
const (
	demoMerchant = "TS00000001"
	demoOperator = "0000000001"
	demoKey      = "6698851A525C9433"
)

// signKey is a key and where it came from. Neither fmt nor JSON shows the text.
type signKey struct {
	merchant string // "" if it serves every merchant
	from     string // such as OTTPAY_SIGN_KEY, or line 3 of keys.txt
	text     func() string
}

func (k signKey) String() string { return "key from " + k.from }

// keyring holds the keys in the order in which they are tried.
type keyring struct {
	keys []signKey
	demo bool // nothing was configured: it is the published key
}

// keyFlags are the flags of a command that needs keys.
type keyFlags struct {
	file     string
	strict   bool
	merchant string
}

func (f *keyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "keys", "", "read sign keys from `FILE`, lines of MERCHANT KEY (else OTTPAY_KEYS_FILE, OTTPAY_SIGN_KEY)")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "refuse a file of keys that others may read")
	_ = cmd.MarkFlagFilename("keys")
}

// addMerchant adds the flag of a command that speaks for one merchant.
func (f *keyFlags) addMerchant(a *app, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.merchant, "merchant", "", "speak for merchant `ID` (default OTTPAY_MERCHANT_ID, or the first with a key)")
	_ = cmd.RegisterFlagCompletionFunc("merchant", a.completeMerchants)
}

// keyring reads the keys: those of the file that the flag names, else those of
// the environment, else the published one.
func (a *app) keyring(f *keyFlags) (*keyring, error) {
	ring := &keyring{}
	file := a.fallback(f.file, envKeysFile, "")
	if file != "" {
		keys, err := a.readKeys(file, f.strict)
		if err != nil {
			return nil, err
		}
		ring.keys = keys
	}
	if f.file == "" {
		merchant := a.fallback(f.merchant, envMerchant, "")
		for n := 1; ; n++ {
			name := envKey
			if n > 1 {
				name = fmt.Sprintf("%s_%d", envKey, n)
			}
			text := a.getenv(name)
			if text == "" {
				break
			}
			if err := checkKey(text); err != "" {
				return nil, configf("%s %s", name, err)
			}
			ring.keys = append(ring.keys, signKey{merchant, name, func() string { return text }})
		}
	}
	if len(ring.keys) == 0 {
		ring.demo = true
		ring.keys = []signKey{{demoMerchant, "the vendor's documentation", func() string { return demoKey }}}
	}
	return ring, nil
}

// checkKey returns what is wrong with a key, without showing it, or "".
func checkKey(text string) string {
	switch {
	case strings.TrimFunc(text, unicode.IsSpace) != text:
		return "has white space around the key"
	case strings.ContainsFunc(text, unicode.IsControl):
		return "holds a control character"
	}
	if _, err := envelope.NewKey(text); err != nil {
		return "holds no usable key"
	}
	return ""
}

// readKeys reads lines of MERCHANT KEY.
func (a *app) readKeys(file string, strict bool) ([]signKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, unreadable("the keys", file, err)
	}
	if mode := info.Mode().Perm(); othersRead(mode) {
		if strict {
			return nil, configf("%s may be read by others (mode %04o)", file, mode).hint("chmod 600 %s", file)
		}
		a.talk("%s %s may be read by others (mode %04o); chmod 600 %s", a.paint(a.Err, yellow, "warn"), file, mode, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, unreadable("the keys", file, err)
	}
	var keys []signKey
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			// The line is not shown: it may hold a key.
			return nil, configf("line %d of %s is not MERCHANT KEY", number, file)
		}
		key := fields[1]
		if err := checkKey(key); err != "" {
			return nil, configf("line %d of %s %s", number, file, err)
		}
		keys = append(keys, signKey{fields[0], fmt.Sprintf("line %d of %s", number, file), func() string { return key }})
	}
	if len(keys) == 0 {
		return nil, configf("%s holds no key", file).hint("put \"%s <key>\" into it, a line for each key", demoMerchant)
	}
	return keys, nil
}

// of returns the keys that serve a merchant, the first one being that which
// seals.
func (r *keyring) of(merchant string) []signKey {
	var keys []signKey
	for _, k := range r.keys {
		if k.merchant == "" || k.merchant == merchant {
			keys = append(keys, k)
		}
	}
	return keys
}

// merchants returns the merchants that have keys of their own, in the order of
// their first key.
func (r *keyring) merchants() []string {
	var ids []string
	for _, k := range r.keys {
		if k.merchant != "" && !slices.Contains(ids, k.merchant) {
			ids = append(ids, k.merchant)
		}
	}
	return ids
}

// noKey says that a merchant has no key.
func noKey(merchant string) *Failure {
	return configf("no sign key for %s", merchant).
		hint("put \"%s <key>\" into a file and name it with --keys, or set %s", merchant, envKey)
}
