package ottpaytest

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/ottpaykit/ottpay/envelope"
)

// A sandbox that runs all day keeps thousands of messages, and hardly anybody
// looks at the old ones. They are kept in groups, compressed. What is encrypted
// does not compress, but it can be made again from what is inside: a body is
// kept as its plaintext, if sealing that gives the very same bytes.

// intern keeps one copy of the strings that many messages share. The zero
// value is ready.
type intern struct {
	texts   map[string]string
	headers map[string]http.Header
}

const (
	maxInterned = 4096
	maxHeaders  = 256
)

// text returns s, shared with equal strings.
func (i *intern) text(s string) string {
	if s == "" {
		return ""
	}
	if kept, ok := i.texts[s]; ok {
		return kept
	}
	s = strings.Clone(s) // it may be a part of a long one
	if i.texts == nil {
		i.texts = make(map[string]string)
	}
	if len(i.texts) < maxInterned {
		i.texts[s] = s
	}
	return s
}

// header returns h without its secrets and its length, shared with equal ones.
// It must not be changed.
func (i *intern) header(h http.Header) http.Header {
	h = redacted(h)
	delete(h, "Content-Length")
	var b strings.Builder
	_ = h.Write(&b) // cannot fail, and sorts
	if kept, ok := i.headers[b.String()]; ok {
		return kept
	}
	h = h.Clone()
	if i.headers == nil {
		i.headers = make(map[string]http.Header)
	}
	if len(i.headers) < maxHeaders {
		i.headers[b.String()] = h
	}
	return h
}

// packed is a body that can be made again from its plaintext. The zero value
// stands for a body that cannot.
type packed struct {
	// Rest is the body with marks in place of data and md5.
	Rest  string `json:"r,omitempty"`
	Plain string `json:"p,omitempty"`
	Key   int    `json:"k,omitempty"` // of the merchant's, from 0
	// Wrapped: data has a blank after every 60 characters. Escaped: its = is
	// written as Gson does.
	Wrapped bool `json:"w,omitempty"`
	Escaped bool `json:"e,omitempty"`
}

// The marks are characters that no JSON text holds as they are.
const dataMark, md5Mark = "\x00", "\x01"

// pack returns what the body can be made of again.
func pack(body []byte, keys []envelope.Key, open func([]byte) (envelope.Sealed, error)) packed {
	sealed, err := open(body)
	if err != nil || sealed.Data == "" || bytes.ContainsAny(body, dataMark+md5Mark) {
		return packed{}
	}
	for i, key := range keys {
		p, err := key.Open(sealed)
		if err != nil {
			continue
		}
		again, err := key.Seal(p.JSON)
		if err != nil || again.MD5 != sealed.MD5 {
			return packed{}
		}
		out := packed{
			Plain: string(p.JSON), Key: i, Wrapped: len(sealed.Data) > 60 && sealed.Data[60] == ' ',
			Escaped: bytes.Contains(body, []byte(`\u003d`)),
		}
		out.Rest = strings.Replace(string(body), out.data(again), dataMark, 1)
		out.Rest = strings.Replace(out.Rest, again.MD5, md5Mark, 1)
		if bytes.Equal(out.unpack(keys), body) {
			return out
		}
		return packed{}
	}
	return packed{}
}

// data is how the body spells the data.
func (p packed) data(s envelope.Sealed) string {
	if p.Wrapped {
		s = QuirkBlanks.wrap(s)
	}
	if p.Escaped {
		return string(QuirkEscapes.escape([]byte(s.Data)))
	}
	return s.Data
}

// unpack returns the body, nil if it cannot be made again.
func (p packed) unpack(keys []envelope.Key) []byte {
	if p.Key >= len(keys) {
		return nil
	}
	s, err := keys[p.Key].Seal([]byte(p.Plain))
	if err != nil {
		return nil
	}
	return []byte(strings.NewReplacer(dataMark, p.data(s), md5Mark, s.MD5).Replace(p.Rest))
}

// compressors are kept for a while, for each is larger than a group.
var compressors = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.DefaultCompression)
	if err != nil {
		panic("ottpaytest: " + err.Error()) // the level is one
	}
	return w
}}

// deflate compresses a text.
func deflate(text []byte) []byte {
	w := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	var b bytes.Buffer
	w.Reset(&b)
	_, _ = w.Write(text)
	_ = w.Close() // into a buffer: neither can fail
	return bytes.Clone(b.Bytes())
}

// inflate is the reverse.
func inflate(text []byte) []byte {
	out, err := io.ReadAll(flate.NewReader(bytes.NewReader(text)))
	if err != nil {
		panic("ottpaytest: " + err.Error()) // it was written by deflate
	}
	return out
}

// groupSize is how many messages, or texts, are compressed together.
const groupSize = 64

// group is messages that are kept compressed.
type group struct {
	first, last uint64
	n           int
	merchants   []string
	blob        []byte
}

// coldMessage is a message in a group.
type coldMessage struct {
	messageJSON
	Body   *packed `json:"b,omitempty"`
	Answer *packed `json:"a,omitempty"`
}

func openRequest(body []byte) (envelope.Sealed, error) {
	e, err := envelope.ReadRequest(body)
	return e.Sealed, err
}

func openAnswer(body []byte) (envelope.Sealed, error) {
	e, err := envelope.ReadAnswer(body)
	return e.Sealed, err
}

// freeze compresses messages.
func freeze(all []*message, keys func(merchant string) []envelope.Key) *group {
	g := &group{first: all[0].seq, last: all[len(all)-1].seq, n: len(all)}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, m := range all {
		if !slices.Contains(g.merchants, m.merchant) {
			g.merchants = append(g.merchants, m.merchant)
		}
		c := coldMessage{messageJSON: m.json(true)}
		open := openRequest
		if m.callback {
			open = openAnswer
		}
		if p := pack(m.body, keys(m.merchant), open); p.Rest != "" {
			c.Wire, c.Body = new(bodyJSON), &p
		}
		if p := pack(m.answer, keys(m.merchant), openAnswer); p.Rest != "" {
			c.messageJSON.Answer, c.Answer = nil, &p
		}
		if err := e.Encode(c); err != nil {
			panic("ottpaytest: " + err.Error()) // it holds nothing that JSON cannot say
		}
	}
	g.blob = deflate(b.Bytes())
	return g
}

// thaw returns the messages of a group.
func (g *group) thaw(keys func(merchant string) []envelope.Key) []*message {
	all := make([]*message, 0, g.n)
	d := json.NewDecoder(bytes.NewReader(inflate(g.blob)))
	for d.More() {
		var c coldMessage
		m := new(message)
		if err := d.Decode(&c); err != nil {
			panic("ottpaytest: " + err.Error()) // it was written by freeze
		}
		if err := c.into(m); err != nil {
			panic("ottpaytest: " + err.Error())
		}
		if c.Body != nil {
			m.body = c.Body.unpack(keys(m.merchant))
		}
		if c.Answer != nil {
			m.answer = c.Answer.unpack(keys(m.merchant))
		}
		all = append(all, m)
	}
	return all
}

// texts keeps texts by number, compressed in groups. Gateway.mu guards it.
type texts struct {
	groups [][]byte
	hot    [][]byte // of the last group

	cached int // the number of the group in cache, from 1
	cache  [][]byte
}

// add keeps a text and returns its number, from 1.
func (t *texts) add(text []byte) int32 {
	if len(text) == 0 {
		return 0
	}
	t.hot = append(t.hot, bytes.Clone(text))
	n := len(t.groups)*groupSize + len(t.hot)
	if len(t.hot) == groupSize {
		t.groups = append(t.groups, deflate(join(t.hot)))
		t.hot = nil
	}
	return int32(n)
}

// join writes texts one after the other, each with its length.
func join(all [][]byte) []byte {
	var b bytes.Buffer
	for _, text := range all {
		n := len(text)
		b.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
		b.Write(text)
	}
	return b.Bytes()
}

func split(b []byte) (all [][]byte) {
	for len(b) > 0 {
		n := int(b[0]) | int(b[1])<<8 | int(b[2])<<16 | int(b[3])<<24
		all = append(all, b[4:4+n])
		b = b[4+n:]
	}
	return all
}

// get returns the text of a number, nil for 0.
func (t *texts) get(number int32) []byte {
	if number == 0 {
		return nil
	}
	n := int(number)
	group, i := (n-1)/groupSize, (n-1)%groupSize
	if group == len(t.groups) {
		return t.hot[i]
	}
	if t.cached != group+1 {
		t.cached, t.cache = group+1, split(inflate(t.groups[group]))
	}
	return t.cache[i]
}

// size is how many texts there are, wanted or not.
func (t *texts) size() int { return len(t.groups)*groupSize + len(t.hot) }
