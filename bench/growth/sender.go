package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// senderConfig is what a process of senders does.
type senderConfig struct {
	Addr string
	Kind string
	N    int // connections
	Size int // of each body
}

const senderVariable = "OTTPAY_GROWTH_SENDER"

// The kinds of senders.
const (
	sendAll     = "all"     // the body, with its length
	sendChunked = "chunked" // the body, without
	sendHeld    = "held"    // 60 KiB of it, and the rest when a word comes
	sendTrickle = "trickle" // a byte at a time
	sendNothing = "nothing" // the header alone
	sendMute    = "mute"    // nothing at all
)

const (
	heldAt  = 60 << 10
	patient = time.Minute // a connection that lasts longer is given up
)

// senders are the connections of a process.
type senders struct {
	cfg  senderConfig
	goOn chan struct{} // closed when the held ones may go on

	mu   sync.Mutex
	ends map[string]int
}

// runSenders connects all, says how many there are, waits for a word, lets all
// begin and says how they ended.
func runSenders(cfg senderConfig) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	s := &senders{cfg: cfg, goOn: make(chan struct{}), ends: make(map[string]int)}
	conns := make([]net.Conn, 0, cfg.N)
	for range cfg.N {
		conn, err := net.DialTimeout("tcp", cfg.Addr, patient)
		if err != nil {
			return fmt.Errorf("connection %d of %d: %w", len(conns)+1, cfg.N, err)
		}
		conns = append(conns, conn)
	}
	if err := out.Encode(len(conns)); err != nil {
		return err
	}
	var begin bool
	if err := in.Decode(&begin); err != nil {
		return err
	}
	var all sync.WaitGroup
	for _, conn := range conns {
		all.Go(func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patient))
			go s.write(conn) // it ends with the connection
			s.end(read(conn))
		})
	}
	if cfg.Kind == sendHeld {
		if err := in.Decode(&begin); err != nil {
			return err
		}
	}
	close(s.goOn)
	all.Wait()
	return out.Encode(s.ends)
}

func (s *senders) end(how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[how]++
}

// read returns the status of the answer, or how the connection ended without.
func read(conn net.Conn) string {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	switch {
	case err == nil:
		resp.Body.Close()
		return strconv.Itoa(resp.StatusCode)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "open"
	}
	return "closed"
}

// write sends what the kind is about, until the connection fails.
func (s *senders) write(conn net.Conn) {
	if s.cfg.Kind == sendMute {
		return
	}
	length := fmt.Sprintf("Content-Length: %d", s.cfg.Size)
	if s.cfg.Kind == sendChunked || s.cfg.Kind == sendHeld {
		length = "Transfer-Encoding: chunked"
	}
	io.WriteString(conn, "POST /ottpay/callback HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n"+length+"\r\n\r\n")
	switch s.cfg.Kind {
	case sendAll:
		send(conn, s.cfg.Size, false)
	case sendChunked:
		if send(conn, s.cfg.Size, true) {
			io.WriteString(conn, "0\r\n\r\n")
		}
	case sendHeld:
		if send(conn, heldAt, true) {
			<-s.goOn
			send(conn, s.cfg.Size-heldAt, true)
		}
	case sendTrickle:
		for range s.cfg.Size {
			if _, err := conn.Write([]byte{' '}); err != nil {
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}

var filler = make([]byte, 4<<10)

// send writes n bytes, in chunks or as they are.
func send(conn net.Conn, n int, chunked bool) bool {
	for n > 0 {
		part := filler[:min(n, len(filler))]
		if chunked {
			fmt.Fprintf(conn, "%x\r\n", len(part))
		}
		if _, err := conn.Write(part); err != nil {
			return false
		}
		if chunked {
			io.WriteString(conn, "\r\n")
		}
		n -= len(part)
	}
	return true
}
