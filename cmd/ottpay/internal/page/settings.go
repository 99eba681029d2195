package page

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/field"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

type settingsView struct {
	shell
	New        *ottpaytest.MerchantConfig // just added: the one time that its key is shown
	NewText    string
	Merchants  []ottpaytest.MerchantInfo
	Manual     bool // the clock stands still
	Settable   bool
	Advances   []string
	Redelivery string
	Rates      string
	Lenient    bool
	Reuse      bool
	Quirks     []quirkView
}

type quirkView struct {
	Name, Sentence string
	On             bool
	quirk          ottpaytest.Quirk
}

func quirks(without ottpaytest.Quirk) []quirkView {
	all := []quirkView{
		{Name: "numbers", Sentence: "amounts in answers are JSON numbers", quirk: ottpaytest.QuirkNumbers},
		{Name: "escapes", Sentence: "= < > & ' are escaped as Gson does", quirk: ottpaytest.QuirkEscapes},
		{Name: "blanks", Sentence: "Base64 has a blank after every 60 characters", quirk: ottpaytest.QuirkBlanks},
		{Name: "bare-failures", Sentence: "failures come without data and md5", quirk: ottpaytest.QuirkBareFailures},
	}
	for i := range all {
		all[i].On = without&all[i].quirk == 0
	}
	return all
}

func (p *page) settings(r *request) error { return p.showSettings(r, nil) }

func (p *page) showSettings(r *request, added *ottpaytest.MerchantConfig) error {
	s := p.Gateway.Settings()
	v := settingsView{
		shell: p.shell(r, "/settings", "Settings"), New: added, Advances: []string{"1m", "15m", "24h"},
		Lenient: s.Lenient, Reuse: s.Reuse, Quirks: quirks(s.Without),
	}
	for _, id := range p.Gateway.Merchants() {
		if m, ok := p.Gateway.MerchantInfo(id); ok {
			v.Merchants = append(v.Merchants, m)
		}
	}
	if clock := p.Gateway.Clock(); clock != nil {
		v.Settable, v.Manual = true, clock.Manual()
	}
	var pauses []string
	for _, d := range s.Redelivery {
		pauses = append(pauses, d.String())
	}
	v.Redelivery = strings.Join(pauses, ", ")
	for _, currency := range slices.Sorted(maps.Keys(s.Rates)) {
		v.Rates += currency + "=" + s.Rates[currency].Decimal() + "\n"
	}
	if added != nil {
		v.NewText = fmt.Sprintf("export OTTPAY_MERCHANT_ID=%s\nexport OTTPAY_OPERATOR_ID=%s\nexport OTTPAY_SIGN_KEY=%s\nexport OTTPAY_BASE_URL=%s\n",
			added.ID, added.OperatorID, strings.Join(added.SignKeys, ","), p.gatewayURL(r))
	}
	return p.render(r, "settings", v)
}

// changeSettings does what one of the forms says.
func (p *page) changeSettings(r *request) error {
	switch r.PathValue("do") {
	case "merchant":
		return p.addMerchant(r)
	case "clock":
		return p.advance(r)
	case "behaviour":
		return p.behave(r)
	case "load":
		return p.load(r)
	case "reset":
		p.Gateway.Reset()
		if r.PostFormValue("back") == "/" {
			return p.see(r, "/?done=reset")
		}
		return p.see(r, "/settings?done=reset")
	}
	return problem{http.StatusNotFound, "There is no such setting.", ""}
}

// addMerchant shows the key of the new merchant in its answer and nowhere else:
// so it does not redirect.
func (p *page) addMerchant(r *request) error {
	c := ottpaytest.MerchantConfig{Currency: strings.TrimSpace(r.PostFormValue("currency"))}
	if text := strings.TrimSpace(r.PostFormValue("fee")); text != "" {
		fee, err := field.ParseDecimal(text)
		if err != nil {
			return problem{http.StatusUnprocessableEntity, "The fee is not an amount: write 0.50.", ""}
		}
		c.ConvenienceFee = fee
	}
	added, err := p.Gateway.AddMerchant(c)
	if err != nil {
		return err
	}
	if p.Added != nil {
		p.Added(added)
	}
	return p.showSettings(r, &added)
}

func (p *page) advance(r *request) error {
	if manual := r.PostFormValue("manual"); manual != "" {
		if err := p.Gateway.SetManual(manual == "yes"); err != nil {
			return err
		}
		return p.see(r, "/settings?done=saved")
	}
	d, err := time.ParseDuration(r.PostFormValue("advance"))
	if r.PostFormValue("to") == "expiry" {
		d, err = p.untilExpiry(), nil
		if d <= 0 {
			return problem{http.StatusConflict, "No open order expires.", ""}
		}
	}
	if err != nil {
		return problem{http.StatusUnprocessableEntity, "The time is a duration such as 15m.", ""}
	}
	if err := p.Gateway.Advance(d); err != nil {
		return err
	}
	return p.see(r, "/settings?done=advanced")
}

// untilExpiry is how long it takes until the first open order is closed.
func (p *page) untilExpiry() time.Duration {
	var first time.Time
	for _, o := range p.Gateway.Orders() {
		if o.Open() && !o.Expires.IsZero() && (first.IsZero() || o.Expires.Before(first)) {
			first = o.Expires
		}
	}
	if first.IsZero() {
		return 0
	}
	return first.Sub(p.Gateway.Now())
}

func (p *page) behave(r *request) error {
	s := p.Gateway.Settings()
	s.Redelivery = []time.Duration{}
	for _, text := range strings.FieldsFunc(r.PostFormValue("redelivery"), func(c rune) bool { return c == ',' || c == ' ' }) {
		if text == "none" {
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return problem{http.StatusUnprocessableEntity, "The pauses are durations such as 1s, 2s, 4s.", ""}
		}
		s.Redelivery = append(s.Redelivery, d)
	}
	rates, err := lines(r.PostFormValue("rates"))
	if err != nil {
		return err
	}
	s.Rates = make(map[string]field.Rate)
	for currency, text := range rates {
		rate, err := parseRate(text)
		if err != nil {
			return problem{http.StatusUnprocessableEntity, "A rate is a number such as 5.2474.", ""}
		}
		s.Rates[currency] = rate
	}
	s.Lenient, s.Reuse = r.PostFormValue("lenient") != "", r.PostFormValue("reuse") != ""
	s.Without = 0
	for _, q := range quirks(0) {
		if !slices.Contains(r.PostForm["quirk"], q.Name) {
			s.Without |= q.quirk
		}
	}
	p.Gateway.Configure(s)
	return p.see(r, "/settings?done=saved")
}

// load puts a record in place of everything.
func (p *page) load(r *request) error {
	file, _, err := r.FormFile("record")
	if err != nil {
		return problem{http.StatusUnprocessableEntity, "Choose the file of a record.", ""}
	}
	defer file.Close()
	if err := p.Gateway.Load(file); err != nil {
		return problem{http.StatusUnprocessableEntity, sentence(err), ""}
	}
	return p.see(r, "/settings?done=loaded")
}

func (p *page) record(r *request) error {
	r.w.Header().Set("Content-Type", "application/x-ndjson")
	r.w.Header().Set("Content-Disposition", `attachment; filename="ottpay-record.ndjson"`)
	_ = p.Gateway.Save(r.w, "") // an error is the browser's that went away
	return nil
}

// lines reads name=value, one a line.
func lines(text string) (map[string]string, error) {
	out := make(map[string]string)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" {
			return nil, problem{http.StatusUnprocessableEntity, "Write one name=value a line.", ""}
		}
		out[name] = value
	}
	return out, nil
}

// parseRate reads a rate such as 5.2474; a field.Rate counts in 10⁻⁸.
func parseRate(text string) (field.Rate, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > 8 || strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", 8-len(fraction)), 10, 64)
	return field.Rate(n), err
}
