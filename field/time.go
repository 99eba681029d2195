package field

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Time is a time as the gateway wrote it, kept verbatim. Times never decide
// whether something is paid. docs/protocol.md, section 5.
type Time string

// TimeError says that a text has none of the known shapes. Its message does
// not quote the text; Raw has it.
type TimeError struct {
	// Raw is the text as it stood.
	Raw string
}

// Error returns the reason without the text.
func (e *TimeError) Error() string { return "field: not a time in a known form" }

// Format writes the error's text, whatever the verb.
func (e TimeError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// Parse reads the three shapes of finish_time, 20060102150405,
// 2006-01-02 15:04:05 and the same with " CST", as China's time, UTC+8.
// AssumedZone says that the text did not name the zone itself. The error is a
// *TimeError.
func (t Time) Parse() (at time.Time, assumedZone bool, err error) {
	text, named := strings.CutSuffix(string(t), " CST")
	layout := time.DateTime
	if len(text) == len("20060102150405") && !named {
		layout = "20060102150405"
	}
	if !layoutSized(text, layout) {
		return time.Time{}, false, &TimeError{Raw: string(t)}
	}
	at, err = time.ParseInLocation(layout, text, time.FixedZone("UTC+8", 8*60*60))
	if err != nil {
		return time.Time{}, false, &TimeError{Raw: string(t)}
	}
	return at, !named, nil
}

// ParseIn reads the shapes of trade_time, "Jan 2, 2006 3:04:05 PM" and
// 2006-01-02 15:04:05, as a time in loc: the gateway does not say which zone it
// means. A comma after the year and the narrow no-break space before AM or PM,
// which newer Java releases print, are tolerated. The error is a *TimeError.
func (t Time) ParseIn(loc *time.Location) (time.Time, error) {
	if loc == nil {
		loc = time.UTC
	}
	text := strings.ReplaceAll(string(t), "\u202f", " ")
	for _, layout := range []string{"Jan 2, 2006 3:04:05 PM", "Jan 2, 2006, 3:04:05 PM"} {
		if at, err := time.ParseInLocation(layout, text, loc); err == nil {
			return at, nil
		}
	}
	if layoutSized(text, time.DateTime) {
		if at, err := time.ParseInLocation(time.DateTime, text, loc); err == nil {
			return at, nil
		}
	}
	return time.Time{}, &TimeError{Raw: string(t)}
}

// layoutSized refuses what time.Parse would take beyond the layout: a fraction
// after the seconds, an hour of one digit.
func layoutSized(text, layout string) bool { return len(text) == len(layout) }
