package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newHealth(a *app) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health [URL]",
		Short: "ends with 0 if a sandbox is ready",
		Long: `health asks a running sandbox whether it is ready, for images without curl. With
--timeout it waits for one that is starting. URL defaults to OTTPAY_SANDBOX, else
to http://` + defaultAddr + `.`,
		Example: `  ottpay health
  ottpay health --timeout 10s http://ottpay:6698`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			base := a.sandboxURL()
			if len(args) == 1 {
				base = strings.TrimRight(args[0], "/")
			}
			if _, err := parseHTTP(base, "URL"); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), max(timeout, time.Second))
			defer cancel()
			var err error
			for {
				if err = healthy(ctx, base); err == nil {
					if a.json {
						return a.object(struct {
							V    int    `json:"v"`
							Type string `json:"type"`
							OK   bool   `json:"ok"`
							URL  string `json:"url"`
						}{1, "health", true, base})
					}
					_, err := fmt.Fprintln(a.Out, "ok")
					return err
				}
				if timeout == 0 || ctx.Err() != nil {
					break
				}
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
			return (&Failure{Code: CodeNo, Kind: KindRefused, Message: "no sandbox is ready at " + cleanLine(base)}).hint("ottpay sandbox")
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "wait so long for it; 0 asks once")
	return cmd
}

func healthy(ctx context.Context, base string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/-/healthz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}
