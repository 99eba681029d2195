package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/ottpaytest"
)

func newFaults(a *app) *cobra.Command {
	var direction string
	cmd := &cobra.Command{
		Use:   "faults [NAME]",
		Short: "lists what can go wrong on purpose, and what a correct shop does",
		Long: `faults lists the faults that the sandbox knows: those of callbacks, and those of
answers. A name that both have is written with its direction, such as
callback:drop. Faults are counted, not rolled: one that is armed takes effect so
many times, on the first cases that fit.`,
		Example: `  ottpay faults
  ottpay faults answer:drop
  ottpay faults --direction callback --json`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return completeFaults(""), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			switch ottpaytest.Direction(direction) {
			case "", ottpaytest.ToShop, ottpaytest.ToClient:
			default:
				return usagef("--direction is callback or answer")
			}
			if len(args) == 1 {
				info, ok := lookupFault(args[0], ottpaytest.Direction(direction))
				if !ok {
					return unknownFault(args[0], "")
				}
				return a.fault(info)
			}
			group := ""
			for _, info := range ottpaytest.Faults() {
				if direction != "" && string(info.Direction) != direction {
					continue
				}
				if a.json {
					if err := a.object(faultObject(info)); err != nil {
						return err
					}
					continue
				}
				if g := string(info.Direction) + "s: " + info.Group; g != group {
					if group != "" {
						fmt.Fprintln(a.Out)
					}
					group = g
					fmt.Fprintf(a.Out, "%s\n", a.paint(a.Out, bold, g))
				}
				if _, err := fmt.Fprintf(a.Out, "  %-17s %s\n", info.Name, info.Sentence); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&direction, "direction", "", "list those of one direction: callback or answer")
	_ = cmd.RegisterFlagCompletionFunc("direction", cobra.FixedCompletions([]string{"callback", "answer"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// fault prints one fault in full.
func (a *app) fault(info ottpaytest.FaultInfo) error {
	if a.json {
		return a.object(faultObject(info))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n  what     %s\n  correct  %s\n", a.paint(a.Out, bold, info.FullName()), info.Sentence, info.Correct)
	if e := expectation(info); e != "" {
		fmt.Fprintf(&b, "  the kit  %s\n", e)
	}
	if len(info.Parameters) > 0 {
		fmt.Fprintf(&b, "  takes    %s\n", strings.Join(info.Parameters, ", "))
	}
	_, err := a.Out.Write([]byte(b.String()))
	return err
}

// expectation says in words what this module's webhook or client does.
func expectation(info ottpaytest.FaultInfo) string {
	e := info.Expect
	if info.Direction == ottpaytest.ToClient {
		text := "the client's call succeeds"
		if e.Error != "" {
			text = "the client's error is " + e.Error
		}
		if e.Then != "" {
			text += "; asking afterwards finds: " + e.Then
		}
		return text
	}
	var statuses []string
	for _, s := range e.Statuses {
		if s == 0 {
			statuses = append(statuses, "nothing")
			continue
		}
		statuses = append(statuses, strconv.Itoa(s))
	}
	if len(statuses) == 0 {
		return ""
	}
	text := "the webhook answers " + strings.Join(statuses, ", ")
	if len(e.Reasons) > 0 {
		text += " (" + strings.Join(e.Reasons, " or ") + ")"
	}
	return text + fmt.Sprintf("; the handler runs %s", times(e.Handled))
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func faultObject(info ottpaytest.FaultInfo) any {
	return struct {
		V          int      `json:"v"`
		Type       string   `json:"type"`
		Name       string   `json:"name"`
		Direction  string   `json:"direction"`
		Group      string   `json:"group"`
		Sentence   string   `json:"sentence"`
		Correct    string   `json:"correct"`
		Parameters []string `json:"parameters,omitempty"`
		Statuses   []int    `json:"statuses,omitempty"`
		Reasons    []string `json:"reasons,omitempty"`
		Error      string   `json:"error,omitempty"`
		Then       string   `json:"then,omitempty"`
	}{
		1, "fault", info.Name, string(info.Direction), info.Group, info.Sentence, info.Correct, info.Parameters,
		info.Expect.Statuses, info.Expect.Reasons, info.Expect.Error, info.Expect.Then,
	}
}

// completeFaults lists names with their sentences, of one direction or of both.
func completeFaults(direction ottpaytest.Direction) []string {
	var names []string
	for _, info := range ottpaytest.Faults() {
		switch {
		case direction == "":
			names = append(names, cobra.CompletionWithDesc(info.FullName(), info.Sentence))
		case info.Direction == direction:
			names = append(names, cobra.CompletionWithDesc(info.Name, info.Sentence))
		}
	}
	return names
}

// lookupFault finds a fault by its name. In a place that has a direction the
// name alone will do.
func lookupFault(name string, direction ottpaytest.Direction) (ottpaytest.FaultInfo, bool) {
	if direction != "" && !strings.Contains(name, ":") {
		name = string(direction) + ":" + name
	}
	info, ok := ottpaytest.LookupFault(name)
	return info, ok && (direction == "" || info.Direction == direction)
}

func unknownFault(name string, direction ottpaytest.Direction) *Failure {
	f := usagef("fault %q is unknown", cleanWord(name))
	var names, same []string
	for _, info := range ottpaytest.Faults() {
		if direction == "" || info.Direction == direction {
			names = append(names, info.Name)
			if info.Name == name {
				same = append(same, info.FullName())
			}
		}
	}
	if len(same) > 1 {
		f.Message = fmt.Sprintf("fault %q is one of callbacks and one of answers; write %s", cleanWord(name), strings.Join(same, " or "))
		return f
	}
	_, bare, ok := strings.Cut(name, ":")
	if !ok {
		bare = name
	}
	if near := nearest(bare, names); near != "" {
		f.Message += "; did you mean " + near + "?"
	}
	f.Message += "  (ottpay faults lists them)"
	return f
}

// parseFault reads NAME[,key=value...].
func parseFault(spec string, direction ottpaytest.Direction) (ottpaytest.Fault, error) {
	name, rest, more := strings.Cut(spec, ",")
	info, ok := lookupFault(strings.TrimSpace(name), direction)
	if !ok {
		return ottpaytest.Fault{}, unknownFault(strings.TrimSpace(name), direction)
	}
	var f ottpaytest.Fault
	if info.Direction == ottpaytest.ToShop {
		f.Callback = ottpaytest.CallbackFault(info.Name)
	} else {
		f.Kind = ottpaytest.FaultKind(info.Name)
	}
	if !more {
		return f, nil
	}
	for part := range strings.SplitSeq(rest, ",") {
		key, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		bad := func(want string) error {
			return usagef("%s of fault %s is %s", key, info.FullName(), want)
		}
		number := func(to *int) error {
			n, err := strconv.Atoi(v)
			if err != nil {
				return bad("a number")
			}
			*to = n
			return nil
		}
		var err error
		switch key {
		case "action":
			if _, ok := api.LookupAction(v); !ok {
				return f, unknownAction(v)
			}
			f.Action = api.Action(v)
		case "order":
			f.Order = v
		case "merchant":
			f.Merchant = v
		case "code":
			f.Code = api.Code(v)
		case "times":
			if v == "always" {
				f.Times = -1
				break
			}
			err = number(&f.Times)
		case "n":
			err = number(&f.N)
		case "at", "at_byte":
			err = number(&f.At)
		case "status":
			err = number(&f.Status)
		case "before":
			f.Before = v == "" || v == "true"
		case "delay":
			if f.Delay, err = time.ParseDuration(v); err != nil || f.Delay < 0 {
				err = bad("a duration such as 500ms")
			}
		case "chance":
			percent, ok := strings.CutSuffix(v, "%")
			if f.Chance, err = strconv.ParseFloat(percent, 64); err != nil || !(f.Chance > 0) {
				err = bad("a probability such as 30%")
				break
			}
			if ok {
				f.Chance /= 100
			}
			if f.Chance > 1 {
				err = bad("a probability such as 30%")
			}
		default:
			keys := []string{"action", "order", "merchant", "times", "n", "at", "status", "before", "delay", "chance", "code"}
			err := usagef("a fault has no %q", cleanWord(key))
			if near := nearest(key, keys); near != "" {
				err.Message += "; did you mean " + near + "?"
			}
			return f, err.hint("it takes %s", strings.Join(keys, ", "))
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}
