package ottpaytest

// entry is a line of the record: an event with what it takes to do it again.
type entry struct {
	Event
}

// entry returns the line of an event. g.mu is held.
func (g *Gateway) entry(e Event) entry { return entry{Event: e} }
