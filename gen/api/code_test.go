package api_test

import (
	"strings"
	"testing"

	"github.com/ottpaykit/ottpay/gen/api"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	want := map[api.Code]api.Class{
		"SUCCESS": api.ClassSuccess, "PROCESSING": api.ClassPending, "ORDER_PAID": api.ClassDuplicate, "ORDER_USED": api.ClassDuplicate,
		"PARAM_INVALID": api.ClassCaller, "PARAM_ERROR": api.ClassCaller, "PWD_INCORRECT": api.ClassCaller, "ORDER_TYPE_ERROR": api.ClassCaller,
		"AUTH_CODE_INVALID": api.ClassCaller, "CURRENCY_NOT_SUPPORT": api.ClassCaller, "FAIL": api.ClassFailed,
		"TIMEOUT": api.ClassUnclear, "SYSTEM_ERROR": api.ClassUnclear, "DB_ERROR": api.ClassUnclear,
	}
	for _, c := range api.Codes() { // those that were added to the document, too
		if c.Message() == "" || strings.ToUpper(string(c)) != string(c) {
			t.Errorf("%s: %q", c, c.Message())
		}
	}
	for c, class := range want {
		for _, spelling := range []api.Code{c, api.Code(strings.ToLower(string(c))), api.Code(string(c[:1]) + strings.ToLower(string(c[1:])))} {
			if got := spelling.Class(); got != class {
				t.Errorf("%s: %v, want %v", spelling, got, class)
			}
			if spelling.Message() == "" {
				t.Errorf("%s: no message", spelling)
			}
		}
	}
	for _, c := range []api.Code{"", "SUCCES", "SUCCESS ", "ſUCCESS", "SOMETHING_NEW"} {
		if got := c.Class(); got != api.ClassUnclear {
			t.Errorf("%q: %v", c, got)
		}
	}
}
