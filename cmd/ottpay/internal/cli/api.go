package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// sandboxURL is the running sandbox that commands talk to.
func (a *app) sandboxURL() string {
	return strings.TrimRight(a.fallback("", envSandbox, "http://"+defaultAddr), "/")
}

// callAPI makes a call to a sandbox's API and decodes the answer into out,
// which may be nil. No proxy stands between.
func (a *app) callAPI(ctx context.Context, base, method, path string, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, base+"/-/api/v1"+path, nil)
	if err != nil {
		return err
	}
	if token := a.getenv(envToken); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxInput))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the sandbox answers %d", response.StatusCode)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}
