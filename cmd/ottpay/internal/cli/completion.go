package cli

import (
	"github.com/spf13/cobra"
)

func newCompletion(a *app, root *cobra.Command) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "prints a script that completes commands in a shell",
		Long: `completion prints a script for a shell. It completes commands and flags, actions
and their members, faults, and the orders and merchants of a running sandbox.

  bash        source <(ottpay completion bash)
  zsh         ottpay completion zsh > "${fpath[1]}/_ottpay"
  fish        ottpay completion fish > ~/.config/fish/completions/ottpay.fish
  powershell  ottpay completion powershell | Out-String | Invoke-Expression`,
		Example:   `  source <(ottpay completion bash)`,
		ValidArgs: shells,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(_ *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			case "fish":
				return root.GenFishCompletion(a.Out, true)
			}
			return root.GenPowerShellCompletionWithDesc(a.Out)
		},
	}
}
