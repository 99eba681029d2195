package envelope_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/envelope"
)

// TestFIPSOnly: where MD5 may not be used, no key can be made, so that the
// program ends at its start and not at its first payment.
func TestFIPSOnly(t *testing.T) {
	t.Parallel()
	if os.Getenv("OTTPAY_FIPS_CHILD") != "" {
		_, err := envelope.NewKey("6698851A525C9433")
		if err == nil || !strings.Contains(err.Error(), "fips140=only") {
			t.Errorf("error %v", err)
		}
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFIPSOnly$", "-test.v")
	child.Env = append(os.Environ(), "GODEBUG=fips140=only", "OTTPAY_FIPS_CHILD=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestFIPSOnly") {
		t.Errorf("%v: %s", err, out)
	}
}
