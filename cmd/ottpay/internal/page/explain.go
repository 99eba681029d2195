package page

import (
	"net/http"

	"github.com/ottpaykit/ottpay/cmd/ottpay/internal/explain"
)

type explainView struct {
	shell
	Input, Against string
	Result         *explain.Explanation // nil before anything was asked
}

// explain takes an envelope and says what is wrong with it. Nothing is kept.
func (p *page) explain(r *request) error {
	if p.Explain == nil {
		return problem{http.StatusNotFound, "This page does not explain.", ""}
	}
	v := explainView{shell: p.shell(r, "/explain", "Explain"), Input: r.PostFormValue("input"), Against: r.PostFormValue("against")}
	if v.Input != "" {
		v.Result = p.Explain([]byte(v.Input), []byte(v.Against))
	}
	return p.render(r, "explain", v)
}
