package page

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

type deliveriesView struct {
	shell
	Rows    []deliveryRow
	Filter  string
	Filters []string
}

type deliveryRow struct {
	Seq         uint64
	Order, Kind string
	Try         int
	Fault       string
	At, Due     time.Time
	Status      int
	Answer      string
	Line        string
	Bad         bool
}

const pageOfDeliveries = 100

// deliveries is the list of callbacks, newest first.
func (p *page) deliveries(r *request) error {
	v := deliveriesView{
		shell: p.shell(r, "/deliveries", "Deliveries"), Filter: r.FormValue("show"),
		Filters: []string{"", "refused", "blocked", "no answer"},
	}
	if !slices.Contains(v.Filters, v.Filter) {
		return problem{http.StatusBadRequest, "There is no such filter.", ""}
	}
	latest := make(map[[2]string]bool) // orders whose newest delivery was seen
	limit := pageOfDeliveries
	if v.Filter != "" {
		limit = 0 // those that fit may be far back
	}
	for _, d := range p.Gateway.AllDeliveries(r.FormValue("merchant"), limit) {
		row := rowOf(d)
		if order := [2]string{d.MerchantID, d.OrderID}; !latest[order] {
			latest[order] = true
			if o, ok := p.Gateway.Merchant(d.MerchantID).Order(d.OrderID); ok && !d.Acknowledged() {
				row.Due = o.Callbacks.Due
			}
		}
		if fitsFilter(d, v.Filter) {
			v.Rows = append(v.Rows, row)
		}
		if len(v.Rows) == pageOfDeliveries {
			break
		}
	}
	return p.render(r, "deliveries", v)
}

func fitsFilter(d ottpaytest.Delivery, filter string) bool {
	switch filter {
	case "refused":
		return d.Status != 0 && !d.Acknowledged()
	case "blocked":
		return d.Blocked()
	case "no answer":
		return d.Status == 0 && !d.Blocked() && !d.Pending
	}
	return true
}

func rowOf(d ottpaytest.Delivery) deliveryRow {
	row := deliveryRow{
		Seq: d.Seq, Order: d.OrderID, Kind: string(d.Kind), Try: d.Try, Fault: string(d.Fault), At: d.At,
		Status: d.Status, Bad: !d.Acknowledged() && !d.Pending,
	}
	line, _, _ := strings.Cut(strings.TrimSpace(d.Body), "\n")
	if runes := []rune(line); len(runes) > 80 {
		line = string(runes[:80]) + "…"
	}
	row.Line = line
	switch {
	case d.Pending:
		row.Answer = "under way"
	case d.Blocked():
		row.Answer, row.Line = "blocked", d.Err.Error()
	case d.Status == 0:
		row.Answer = "no answer"
		if d.Err != nil {
			row.Line = d.Err.Error()
		}
	case d.Acknowledged():
		row.Answer = fmt.Sprintf("%d acknowledged · %d ms", d.Status, d.MS)
	default:
		row.Answer = fmt.Sprintf("%d refused · %d ms", d.Status, d.MS)
	}
	return row
}
