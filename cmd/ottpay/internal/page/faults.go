package page

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

// faultGroup is a heading of the catalogue with its faults.
type faultGroup struct {
	Name   string
	Faults []ottpaytest.FaultInfo
}

// grouped keeps the catalogue's order.
func grouped(all []ottpaytest.FaultInfo) []faultGroup {
	var out []faultGroup
	for _, f := range all {
		name := f.Group
		if n := len(out); n == 0 || out[n-1].Name != name {
			out = append(out, faultGroup{Name: name})
		}
		last := &out[len(out)-1]
		last.Faults = append(last.Faults, f)
	}
	return out
}

// tampering are the faults of one callback that can be sent at once.
func tampering() []ottpaytest.FaultInfo {
	var out []ottpaytest.FaultInfo
	for _, f := range ottpaytest.Faults() {
		if f.Direction == ottpaytest.ToShop {
			out = append(out, f)
		}
	}
	return out
}

type faultsView struct {
	shell
	Armed   []ottpaytest.ArmedFault
	Groups  []directed
	Actions []api.ActionInfo
	Codes   []api.Code
	Presets []preset
	Form    url.Values
}

// directed are the faults of one direction.
type directed struct {
	Direction ottpaytest.Direction
	Title     string
	Groups    []faultGroup
}

// preset arms several faults at once.
type preset struct {
	Name, Title, Sentence string
	faults                []ottpaytest.Fault
}

func presets() []preset {
	return []preset{
		{"flaky", "Flaky network", "The next two answers and the next two callbacks are lost, and then one answer is late.", []ottpaytest.Fault{
			{Kind: ottpaytest.FaultDrop, Times: 2},
			{Callback: ottpaytest.CallbackDrop, Times: 2},
			{Kind: ottpaytest.FaultDelay, Delay: 3 * time.Second},
		}},
		{"down", "Gateway down", "Every answer is a page with status 502 and no request takes effect, until you disarm it. This page goes on.", []ottpaytest.Fault{
			{Kind: ottpaytest.FaultHTML, Before: true, Times: -1},
		}},
		{"twice", "Everything twice", "Every callback comes twice, until you disarm it.", []ottpaytest.Fault{
			{Callback: ottpaytest.CallbackDuplicate, Times: -1},
		}},
	}
}

func (p *page) faults(r *request) error {
	v := faultsView{
		shell: p.shell(r, "/faults", "Faults"), Armed: p.Gateway.Armed(), Actions: api.Actions(),
		Presets: presets(), Form: r.URL.Query(),
	}
	for _, d := range []directed{
		{Direction: ottpaytest.ToShop, Title: "Callbacks to the shop"}, {Direction: ottpaytest.ToClient, Title: "Answers to the client"},
	} {
		var of []ottpaytest.FaultInfo
		for _, f := range ottpaytest.Faults() {
			if f.Direction == d.Direction {
				of = append(of, f)
			}
		}
		d.Groups = grouped(of)
		v.Groups = append(v.Groups, d)
	}
	return p.render(r, "faults", v)
}

// changeFaults arms and disarms.
func (p *page) changeFaults(r *request) error {
	switch r.PathValue("do") {
	case "arm":
		f, err := faultOf(r)
		if err != nil {
			return err
		}
		if _, err := p.Gateway.Arm(f); err != nil {
			return problem{http.StatusUnprocessableEntity, sentence(err), ""}
		}
		return p.see(r, "/faults?done=armed")
	case "preset":
		for _, set := range presets() {
			if set.Name != r.PostFormValue("name") {
				continue
			}
			for _, f := range set.faults {
				f.By = "page"
				if _, err := p.Gateway.Arm(f); err != nil {
					return problem{http.StatusUnprocessableEntity, sentence(err), ""}
				}
			}
			return p.see(r, "/faults?done=armed")
		}
	case "disarm":
		id, err := strconv.Atoi(r.PostFormValue("id"))
		if err != nil {
			return problem{http.StatusBadRequest, "Which fault?", ""}
		}
		p.Gateway.Disarm(id) // it may have been used up meanwhile
		return p.see(r, "/faults?done=disarmed")
	case "disarm-all":
		for _, f := range p.Gateway.Armed() {
			p.Gateway.Disarm(f.ID)
		}
		return p.see(r, "/faults?done=disarmed")
	}
	return problem{http.StatusNotFound, "Faults are armed and disarmed.", ""}
}

// faultOf reads the form.
func faultOf(r *request) (ottpaytest.Fault, error) {
	info, ok := ottpaytest.LookupFault(r.PostFormValue("fault"))
	if !ok {
		return ottpaytest.Fault{}, problem{http.StatusUnprocessableEntity, "Choose what should go wrong.", ""}
	}
	f := ottpaytest.Fault{
		Merchant: r.PostFormValue("merchant"), Action: api.Action(r.PostFormValue("action")), Order: strings.TrimSpace(r.PostFormValue("order")),
		Before: r.PostFormValue("before") != "", Code: api.Code(strings.TrimSpace(r.PostFormValue("code"))), By: "page",
	}
	if info.Direction == ottpaytest.ToShop {
		f.Callback = ottpaytest.CallbackFault(info.Name)
	} else {
		f.Kind = ottpaytest.FaultKind(info.Name)
	}
	for _, n := range []struct {
		name string
		to   *int
	}{{"times", &f.Times}, {"at", &f.At}, {"n", &f.N}, {"status", &f.Status}} {
		text := strings.TrimSpace(r.PostFormValue(n.name))
		if text == "" {
			continue
		}
		value, err := strconv.Atoi(text)
		if err != nil || value < 0 {
			return f, problem{http.StatusUnprocessableEntity, n.name + " is a number.", ""}
		}
		*n.to = value
	}
	if r.PostFormValue("always") != "" {
		f.Times = -1
	}
	if text := strings.TrimSpace(r.PostFormValue("delay")); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return f, problem{http.StatusUnprocessableEntity, "The delay is a duration such as 1.5s.", ""}
		}
		f.Delay = d
	}
	return f, nil
}
