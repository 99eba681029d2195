package cli

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A record is what the sandbox writes: JSON lines, the first a header, each
// other one an event with what has changed. listen appends to one in the same
// form; replay and explain read either.
const (
	recordFormat  = "ottpay-sandbox-record"
	recordVersion = 1
)

// openRecord opens a record to append to, which only its owner may read.
func openRecord(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, &Failure{Code: CodeMachine, Kind: KindIO, Message: fmt.Sprintf("cannot write %s: %s", name, cause(err))}
	}
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		if _, err := fmt.Fprintf(f, "{\"format\":%q,\"version\":%d,\"seq\":0}\n", recordFormat, recordVersion); err != nil {
			f.Close()
			return nil, &Failure{Code: CodeMachine, Kind: KindIO, Message: fmt.Sprintf("cannot write %s: %s", name, cause(err))}
		}
	}
	return f, nil
}

// recordedBody is a body: a string, or its Base64 if it is not text.
type recordedBody []byte

// MarshalJSON writes text as a string.
func (b recordedBody) MarshalJSON() ([]byte, error) {
	if utf8.Valid(b) {
		return json.Marshal(string(b))
	}
	return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(b)})
}

// UnmarshalJSON reads either form.
func (b *recordedBody) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		*b = []byte(s)
		return nil
	}
	var object struct{ Base64 string }
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(object.Base64)
	*b = raw
	return err
}

// recordedMessage is one message of a record.
type recordedMessage struct {
	Seq      uint64        `json:"seq"`
	At       time.Time     `json:"at"`
	Callback bool          `json:"callback,omitempty"`
	Merchant string        `json:"merchant,omitempty"`
	Order    string        `json:"order,omitempty"`
	Method   string        `json:"method"`
	URL      string        `json:"url"`
	Header   http.Header   `json:"header,omitempty"`
	Wire     *recordedBody `json:"wire,omitempty"`
	Status   int           `json:"status,omitempty"`
	Answer   *recordedBody `json:"answer,omitempty"`
	MS       int64         `json:"ms,omitempty"`
}

// hidden are the headers that no record holds.
func hidden(h http.Header) http.Header {
	out := h.Clone()
	for name := range out {
		switch name {
		case "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie":
			out[name] = []string{"(hidden)"}
		}
	}
	return out
}

func writeRecord(w io.Writer, c *arrival) error {
	wire, answer := recordedBody(c.body), recordedBody(c.answer)
	m := recordedMessage{
		Seq: c.seq, At: c.at.UTC().Truncate(time.Millisecond), Callback: true, Method: c.request.Method, URL: c.request.URL.RequestURI(),
		Header: hidden(c.request.Header), Wire: &wire, Status: c.status, Answer: &answer, MS: c.took.Milliseconds(),
	}
	if d := c.delivery; d != nil {
		m.Merchant, m.Order = d.Merchant, d.OrderID
	}
	line, err := mergedEvent(c.event(), map[string]any{"change": map[string]any{"messages": []recordedMessage{m}}})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// readRecord returns the messages of a record in the order of their numbers,
// and false if text is none.
func readRecord(text []byte) ([]recordedMessage, bool, error) {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	var head struct {
		Format  string
		Version int
	}
	if json.Unmarshal(first, &head) != nil || head.Format != recordFormat {
		return nil, false, nil
	}
	if head.Version > recordVersion {
		return nil, true, configf("the record is of version %d; this ottpay reads version %d", head.Version, recordVersion)
	}
	messages := make(map[uint64]recordedMessage)
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, 64<<20)
	number := 0
	for scanner.Scan() {
		number++
		if number == 1 || len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var line struct {
			Change struct {
				Messages []recordedMessage
			}
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			if !scanner.Scan() {
				break // a torn last line
			}
			return nil, true, configf("line %d of the record is damaged", number)
		}
		for _, m := range line.Change.Messages {
			old, ok := messages[m.Seq]
			if ok && m.Wire == nil {
				m.Wire = old.Wire
			}
			if ok && m.Answer == nil {
				m.Answer = old.Answer
			}
			messages[m.Seq] = m
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, true, configf("the record cannot be read: %v", err)
	}
	var list []recordedMessage
	for _, seq := range slices.Sorted(maps.Keys(messages)) {
		list = append(list, messages[seq])
	}
	return list, true, nil
}

// splitSeq splits FILE#7, which names a message of a record.
func splitSeq(name string) (file string, seq uint64, ok bool) {
	i := strings.LastIndexByte(name, '#')
	if i < 0 {
		return name, 0, false
	}
	seq, err := strconv.ParseUint(name[i+1:], 10, 63)
	if err != nil || seq == 0 {
		return name, 0, false
	}
	return name[:i], seq, true
}
