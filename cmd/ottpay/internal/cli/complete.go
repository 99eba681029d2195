package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/gen/api"
)

// completeOrders lists the orders of the running sandbox, and nothing if there
// is none.
func (a *app) completeOrders(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var list struct {
		Orders []struct {
			Order  string
			Action string
			Status string
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
	defer cancel()
	if err := a.callAPI(ctx, a.sandboxURL(), http.MethodGet, "/orders?limit=50", &list); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, o := range list.Orders {
		ids = append(ids, cobra.CompletionWithDesc(cleanWord(o.Order), cleanWord(o.Action+" "+o.Status)))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeMerchants lists the merchants of the running sandbox, and nothing if there
// is none.
func (a *app) completeMerchants(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	info, ok := a.sandboxInfo(context.Background(), a.sandboxURL(), 150*time.Millisecond)
	if !ok {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, m := range info.Merchants {
		ids = append(ids, cleanWord(m.MerchantID))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeMembers lists the members of a schema, required ones first, with an
// equals sign where a value follows.
func completeMembers(schema string, equals bool) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return memberNames(schema, equals), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveKeepOrder
	}
}

func memberNames(schema string, equals bool) []string {
	s, ok := api.LookupSchema(schema)
	if !ok {
		return nil
	}
	end := ""
	if equals {
		end = "="
	}
	var names []string
	for _, required := range []bool{true, false} {
		for _, m := range s.Members {
			if m.Required == required {
				names = append(names, cobra.CompletionWithDesc(m.Name+end, m.Description))
			}
		}
	}
	return names
}
