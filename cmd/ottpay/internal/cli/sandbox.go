package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

const defaultAddr = "127.0.0.1:6698"

func newSandbox(a *app) *cobra.Command {
	var keys keyFlags
	var addr string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "runs the gateway on this machine",
		Example: `  ottpay sandbox
  ottpay sandbox --addr 127.0.0.1:0 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ring, err := a.keyring(&keys)
			if err != nil {
				return err
			}
			return a.serveSandbox(cmd.Context(), a.fallback(addr, envAddr, defaultAddr), ring)
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "", "listen on `HOST:PORT`; port 0 picks one (default "+defaultAddr+")")
	keys.add(cmd)
	return cmd
}

func (a *app) serveSandbox(ctx context.Context, addr string, ring *keyring) error {
	cfg := ottpaytest.Config{Merchants: make(map[string][]string)}
	for _, id := range ring.merchants() {
		for _, k := range ring.of(id) {
			if cfg.MerchantID == "" {
				cfg.MerchantID, cfg.SignKey = id, k.text()
				continue
			}
			cfg.Merchants[id] = append(cfg.Merchants[id], k.text())
		}
	}
	if cfg.MerchantID == "" {
		return configf("the sandbox needs the merchant of its key").hint("set %s, or name a file with --keys", envMerchant)
	}
	g, err := ottpaytest.New(cfg)
	if err != nil {
		return configf("%v", err)
	}
	defer g.Close()
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return (&Failure{Code: CodeMachine, Kind: KindIO, Message: addr + " is taken by another program"}).
			hint("start this one with --addr 127.0.0.1:0")
	}
	if err != nil {
		return &Failure{Code: CodeMachine, Kind: KindIO, Message: fmt.Sprintf("cannot listen on %s: %s", addr, cause(err))}
	}
	server := &http.Server{Handler: g, ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := a.untilAskedToStop(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()

	url := "http://" + l.Addr().String() + "/processV2"
	if a.json {
		err = a.object(struct {
			V         int      `json:"v"`
			Type      string   `json:"type"`
			Seq       int      `json:"seq"`
			Gateway   string   `json:"gateway"`
			Merchants []string `json:"merchants"`
			PID       int      `json:"pid"`
		}{1, "ready", 0, url, g.Merchants(), os.Getpid()})
	} else {
		_, err = fmt.Fprintf(a.Out, "ottpay sandbox %s   nothing leaves this machine\n\n  gateway   %s\n\n", version(), url)
	}
	if err != nil {
		return err
	}
	select {
	case err := <-ended:
		return &Failure{Code: CodeMachine, Kind: KindIO, Message: "the sandbox stopped: " + cause(err)}
	case <-ctx.Done():
	}
	a.talk("stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		server.Close()
	}
	return nil
}
