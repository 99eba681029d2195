package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestSinkConcurrent writes whole lines from many goroutines: a line is never
// split, and the race detector has nothing to say.
func TestSinkConcurrent(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := newSink(&b)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			line := []byte(strings.Repeat(string(rune('a'+i)), 20) + "\n")
			for range 200 {
				if _, err := s.Write(line); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for line := range strings.Lines(b.String()) {
		n++
		if line != strings.Repeat(line[:1], 20)+"\n" {
			t.Fatalf("line %d is %q", n, line)
		}
	}
	if n != 8*200 {
		t.Errorf("%d lines, want %d", n, 8*200)
	}
}

// TestSinkClose ends a stream while goroutines still write to it: nothing
// arrives afterwards, and the first error stays.
func TestSinkClose(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := newSink(&b)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = io.WriteString(s, "x")
			}
		}
	}()
	if err := s.close(); err != nil {
		t.Error(err)
	}
	n := b.Len() // a race if the stream still took something
	close(stop)
	<-done
	if b.Len() != n {
		t.Errorf("%d bytes arrived after close", b.Len()-n)
	}
	if _, err := io.WriteString(s, "x"); err == nil {
		t.Error("a closed stream takes a write")
	}

	s = newSink(failing{})
	_, _ = io.WriteString(s, "x")
	if err := s.close(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("close returned %v, want the first error", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, syscall.EPIPE }
