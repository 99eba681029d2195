package ottpaytest

import "time"

// SetNow makes now the Config's clock, whose time may stand still while its
// pauses pass.
func (c *Config) SetNow(now func() time.Time) { c.now = now }

// SetAfter makes after decide when a pause is over.
func (c *Config) SetAfter(after func(time.Duration) <-chan time.Time) { c.after = after }
