package field

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ottpaykit/ottpay/wire"
)

// Time is a time as the gateway wrote it, kept as it came. Times never decide
// whether something is paid. See docs/protocol.md, sections 5 and 16.1.
//
// Four shapes are read, each with or without a zone after a blank:
//
//	20200416050429
//	2020-04-16 05:04:29
//	Apr 14, 2020 12:08:58 AM
//	Apr 14, 2020, 12:08:58 AM
//
// A zone is the North American one of that name: CST is six hours behind UTC,
// not China's time. UTC, GMT and Z are known as well.
type Time string

// TimeError says that a text has none of the known shapes. Its message does
// not quote the text.
type TimeError struct {
	// Raw is the text as it came.
	Raw string
}

// Error returns the reason without the text.
func (e *TimeError) Error() string { return "field: not a time in a known form" }

// Format writes the error's text, whatever the verb.
func (e TimeError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// Parse reads a finish_time. Without a zone it is UTC+8, as the vendor's page
// says. assumedZone reports that the text names no known zone: either none, or
// one that [Time.Zone] returns and for which UTC+8 is a guess. The error is a
// *TimeError.
func (t Time) Parse() (at time.Time, assumedZone bool, err error) {
	return t.parse(func(time.Time) *time.Location { return time.FixedZone("UTC+8", 8*60*60) })
}

// ParseTrade reads a trade_time. Without a zone it is Toronto's time: daylight
// saving time from the second Sunday of March to the first Sunday of November,
// the rule since 2007. assumedZone is as in Parse. The error is a *TimeError.
func (t Time) ParseTrade() (at time.Time, assumedZone bool, err error) { return t.parse(toronto) }

// ParseIn reads a time whose zone the vendor does not document, such as txnTime
// or create_time. Without a known zone in the text it is a time in loc, in UTC
// if loc is nil. The error is a *TimeError.
func (t Time) ParseIn(loc *time.Location) (time.Time, error) {
	if loc == nil {
		loc = time.UTC
	}
	at, _, err := t.parse(func(time.Time) *time.Location { return loc })
	return at, err
}

// Zone returns the zone that the text names, "" if it names none. known reports
// whether Parse knows it.
func (t Time) Zone() (name string, known bool) {
	_, name, _ = t.wall()
	_, known = zoneNamed(name)
	return name, known
}

// parse reads the text as a time in the zone that it names, or in the one that
// assumed returns for the time on the clock.
func (t Time) parse(assumed func(wall time.Time) *time.Location) (time.Time, bool, error) {
	wall, name, err := t.wall()
	if err != nil {
		return time.Time{}, false, err
	}
	loc, known := zoneNamed(name)
	if !known {
		loc = assumed(wall)
	}
	year, month, day := wall.Date()
	return time.Date(year, month, day, wall.Hour(), wall.Minute(), wall.Second(), 0, loc), !known, nil
}

// layouts are the shapes. Those with a fixed length refuse what time.Parse
// would take beyond the layout, such as a fraction after the seconds.
var layouts = [...]struct {
	layout string
	fixed  bool
}{
	{"20060102150405", true},
	{time.DateTime, true},
	{"Jan 2, 2006 3:04:05 PM", false},
	{"Jan 2, 2006, 3:04:05 PM", false},
}

// wall returns the time on the clock, as if in UTC, and the name of the zone.
func (t Time) wall() (at time.Time, zone string, err error) {
	text := strings.ReplaceAll(string(t), "\u202f", " ") // Java writes it before AM and PM
	text = wholeNumber(text)
	for {
		for _, l := range layouts {
			if l.fixed && len(text) != len(l.layout) {
				continue
			}
			if at, err = time.Parse(l.layout, text); err == nil {
				return at, zone, nil
			}
		}
		// What stands after the last blank may be a zone, once.
		blank := strings.LastIndexByte(text, ' ')
		if blank < 0 || zone != "" || !isZone(text[blank+1:]) {
			return time.Time{}, "", &TimeError{Raw: string(t)}
		}
		text, zone = text[:blank], text[blank+1:]
	}
}

// wholeNumber returns the digits of a JSON number with an integral value, which
// a time may come as, and any other text as it is.
func wholeNumber(text string) string {
	if wire.IsNumber(text) {
		if n, ok := parseInteger([]byte(text)); ok {
			return fmt.Sprint(n)
		}
	}
	return text
}

// isZone reports whether a text may be the name of a zone.
func isZone(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("+-:/_", rune(c)) {
			return false
		}
	}
	return text != "" && text != "AM" && text != "PM"
}

// zoneNamed returns the zone of this name.
func zoneNamed(name string) (loc *time.Location, known bool) {
	const hour = 60 * 60
	offset := 0
	switch name = strings.ToUpper(name); name {
	case "UTC", "GMT", "Z":
	case "NDT":
		offset = -2*hour - hour/2
	case "ADT":
		offset = -3 * hour
	case "NST":
		offset = -3*hour - hour/2
	case "EDT", "AST":
		offset = -4 * hour
	case "CDT", "EST":
		offset = -5 * hour
	case "MDT", "CST":
		offset = -6 * hour
	case "PDT", "MST":
		offset = -7 * hour
	case "AKDT", "PST":
		offset = -8 * hour
	case "AKST", "HDT":
		offset = -9 * hour
	case "HST":
		offset = -10 * hour
	default:
		return nil, false
	}
	return time.FixedZone(name, offset), true
}

// toronto returns Toronto's zone at a time on its clock. The hour that a clock
// shows twice in November is taken for the first one.
func toronto(wall time.Time) *time.Location {
	change := func(month time.Month, sunday int) time.Time {
		first := time.Date(wall.Year(), month, 1, 2, 0, 0, 0, time.UTC)
		return first.AddDate(0, 0, (7-int(first.Weekday()))%7+7*(sunday-1))
	}
	if wall.Before(change(time.March, 2)) || !wall.Before(change(time.November, 1)) {
		return time.FixedZone("EST", -5*60*60)
	}
	return time.FixedZone("EDT", -4*60*60)
}
