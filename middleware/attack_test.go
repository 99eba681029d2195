package middleware_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ottpaykit/ottpay/envelope"
	"github.com/ottpaykit/ottpay/gen/api"
	"github.com/ottpaykit/ottpay/internal/vectors"
	"github.com/ottpaykit/ottpay/limit"
	"github.com/ottpaykit/ottpay/middleware"
)

// target is a merchant on a real server. Its handler counts what it is given.
type target struct {
	tb     testing.TB
	server *httptest.Server

	mu    sync.Mutex
	given []string // order, kind and amount
}

func newTarget(tb testing.TB, change func(*middleware.Config)) *target {
	tb.Helper()
	return startTarget(tb, change, func(h http.Handler) http.Handler { return h })
}

func startTarget(tb testing.TB, change func(*middleware.Config), wrap func(http.Handler) http.Handler) *target {
	tb.Helper()
	m := &target{tb: tb}
	m.server = httptest.NewServer(wrap(middleware.Handle(newWebhook(tb, change), m.handle)))
	tb.Cleanup(m.server.Close)
	return m
}

func (m *target) handle(ctx context.Context, n *api.Notification) error {
	d, ok := middleware.FromContext(ctx)
	if !ok || d.OrderID != n.OrderID {
		m.tb.Error("the handler was given something else than its delivery")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.given = append(m.given, fmt.Sprint(d.OrderID, " ", d.Kind, " ", d.Amount))
	return nil
}

// wasGiven checks what the handler ran for, in order.
func (m *target) wasGiven(want ...string) {
	m.tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if fmt.Sprint(m.given) != fmt.Sprint(want) {
		m.tb.Errorf("the handler was given %v, want %v", m.given, want)
	}
}

// post sends body with headers and returns the answer's status and all of its
// bytes but for the date.
func (m *target) post(body []byte, header ...string) (status int, answer string) {
	m.tb.Helper()
	r, err := http.NewRequest(http.MethodPost, m.server.URL, bytes.NewReader(body))
	if err != nil {
		m.tb.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return m.do(r)
}

func (m *target) do(r *http.Request) (status int, answer string) {
	m.tb.Helper()
	resp, err := m.server.Client().Do(r)
	if err != nil {
		m.tb.Fatal(err)
	}
	return m.read(resp)
}

var date = regexp.MustCompile(`(?m)^Date: .*\r\n`)

func (m *target) read(resp *http.Response) (status int, answer string) {
	m.tb.Helper()
	defer resp.Body.Close()
	var b bytes.Buffer
	if err := resp.Write(&b); err != nil {
		m.tb.Fatal(err)
	}
	return resp.StatusCode, date.ReplaceAllString(b.String(), "")
}

// raw writes bytes to a connection of its own and reads answers until the
// server has closed it or has given n of them.
func (m *target) raw(n int, wire string) (statuses []int, answers []string) {
	m.tb.Helper()
	conn, err := net.Dial("tcp", m.server.Listener.Addr().String())
	if err != nil {
		m.tb.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		m.tb.Fatal(err)
	}
	if _, err := io.WriteString(conn, wire); err != nil {
		m.tb.Fatal(err)
	}
	answered := bufio.NewReader(conn)
	for range n {
		resp, err := http.ReadResponse(answered, nil)
		if err != nil {
			break
		}
		status, answer := m.read(resp)
		statuses, answers = append(statuses, status), append(answers, answer)
	}
	return statuses, answers
}

const honestly = "T1 paid 1999"

// TestAttack posts one hostile message to a merchant of its own. Then the
// honest callback comes, and must be handled exactly once, now if the attack
// was not what was handled.
func TestAttack(t *testing.T) {
	t.Parallel()
	honest := callback(t, paid)
	var sealed envelope.Response
	if err := json.Unmarshal(honest, &sealed); err != nil {
		t.Fatal(err)
	}
	relabelled := func(change func(*envelope.Response)) []byte {
		r := sealed
		change(&r)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	respelled := func(old, new string) []byte {
		b := bytes.Replace(honest, []byte(old), []byte(new), 1)
		if bytes.Equal(b, honest) {
			t.Fatalf("nothing of %q", old)
		}
		return b
	}
	object := func(members ...string) []byte { return []byte("{" + strings.Join(members, ",") + "}") }
	code, name := `"rsp_code":"SUCCESS"`, `"merchant_id":"`+merchant+`"`
	data, md5 := `"data":"`+sealed.Data+`"`, `"md5":"`+sealed.MD5+`"`
	wrapped := func(every int, by string) []byte {
		var b strings.Builder
		for i, c := range sealed.Data {
			if i > 0 && i%every == 0 {
				b.WriteString(by)
			}
			b.WriteRune(c)
		}
		return object(code, name, `"data":"`+b.String()+`"`, md5)
	}
	escaped := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		return b.String()
	}
	resealed := func(payload string) []byte { return callback(t, payload) }
	zipped := func() []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(honest); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}

	uniform := make(chan string, 100)
	for _, c := range []struct {
		name    string
		body    []byte
		header  []string
		status  int
		handled bool // by what was posted: it is the honest message, spelled in another way
	}{
		// Re-labelled: what stands around the sealed part is anybody's.
		{"code FAIL", relabelled(func(r *envelope.Response) { r.Code = "FAIL" }), nil, 503, false},
		{"code PROCESSING", relabelled(func(r *envelope.Response) { r.Code = "PROCESSING" }), nil, 503, false},
		{"no code", object(name, data, md5), nil, 503, false},
		{"code a number", object(`"rsp_code":1`, name, data, md5), nil, 400, false},
		{"another merchant", relabelled(func(r *envelope.Response) { r.MerchantID = "TS00000002" }), nil, 401, false},
		{"the merchant in small letters", relabelled(func(r *envelope.Response) { r.MerchantID = strings.ToLower(merchant) }), nil, 401, false},
		{"the merchant with a blank", relabelled(func(r *envelope.Response) { r.MerchantID = merchant + " " }), nil, 401, false},
		{"no merchant", object(code, data, md5), nil, 400, false},
		{"merchant null", object(code, `"merchant_id":null`, data, md5), nil, 400, false},
		{"another message", relabelled(func(r *envelope.Response) { r.Message = "paid twice" }), nil, 200, true},
		{"extra members", object(code, name, `"amount":"999999","order_status":"refunded"`, data, md5), nil, 200, true},
		{"a request's members", object(`"action":"MAPPPAY","version":"1.0"`, code, name, data, md5), nil, 200, true},
		{"merchant twice", object(code, name, `"merchant_id":"TS00000002"`, data, md5), nil, 400, false},
		{"data twice", object(code, name, data, data, md5), nil, 400, false},
		{"names in another case", object(code, name, strings.Replace(data, "data", "Data", 1), md5), nil, 400, false},
		{"a second name in another case", object(code, name, data, md5, `"MD5":"00000000000000000000000000000000"`), nil, 200, true},

		// Re-spelled: the same sealed bytes.
		{"members reversed", object(md5, data, name, code), nil, 200, true},
		{"white space", respelled(`{`, " \r\n\t{\n "), nil, 200, true},
		{"escaped names and values", object(code, name, `"`+escaped("data")+`":"`+escaped(sealed.Data)+`"`, md5), nil, 200, true},
		{"wrapped at 60 by blanks", wrapped(60, " "), nil, 200, true},
		{"wrapped at 64 by line ends", wrapped(64, `\r\n`), nil, 200, true},
		{"wrapped at every character", wrapped(1, `\t`), nil, 200, true},
		{"code in small letters", respelled("SUCCESS", "success"), nil, 200, true},
		{"wrapped by a vertical tab", wrapped(60, `\u000b`), nil, 400, false},
		{"data URL-safe", object(code, name, `"data":"`+strings.NewReplacer("+", "-", "/", "_").Replace(sealed.Data)+`"`, md5), nil, 400, false},
		{"data with padding to spare", object(code, name, `"data":"`+sealed.Data+`="`, md5), nil, 400, false},
		{"data cut short", object(code, name, `"data":"`+sealed.Data[:len(sealed.Data)-1]+`"`, md5), nil, 400, false},
		{"digest in small letters", relabelled(func(r *envelope.Response) { r.MD5 = strings.ToLower(r.MD5) }), nil, 401, false},
		{"digest with a blank", relabelled(func(r *envelope.Response) { r.MD5 += " " }), nil, 400, false},
		{"digest short", relabelled(func(r *envelope.Response) { r.MD5 = r.MD5[:31] }), nil, 400, false},
		{"the body in Base64", []byte(base64.StdEncoding.EncodeToString(honest)), nil, 400, false},
		{"a form", []byte("rsp_code=SUCCESS&merchant_id=" + merchant + "&data=" + sealed.Data + "&md5=" + sealed.MD5), []string{"Content-Type", "application/x-www-form-urlencoded"}, 400, false},
		{"two objects", append(bytes.Clone(honest), honest...), nil, 400, false},
		{"an array of them", append(append([]byte("["), honest...), ']'), nil, 400, false},
		{"a byte order mark", append([]byte("\ufeff"), honest...), nil, 400, false},
		{"nothing", nil, nil, 400, false},
		{"compressed", zipped(), []string{"Content-Encoding", "gzip"}, 400, false},
		{"said to be compressed", honest, []string{"Content-Encoding", "gzip"}, 200, true},
		{"said to be something else", honest, []string{"Content-Type", "text/html", "Content-Type", "image/png"}, 200, true},
		{"method overridden", honest, []string{"X-HTTP-Method-Override", "GET"}, 200, true},
		{"huge", append(bytes.Clone(honest), bytes.Repeat([]byte(" "), 200<<10)...), nil, 413, false},
		{"one byte too many", append(bytes.Clone(honest), bytes.Repeat([]byte(" "), 64<<10+1-len(honest))...), nil, 413, false},

		// Forged.
		{"another key", callbackWith(t, "0123456789ABCDEF", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, paid), nil, 401, false},
		{"another digest", relabelled(func(r *envelope.Response) { r.MD5 = strings.Repeat("0", 32) }), nil, 401, false},
		{"a bit", relabelled(func(r *envelope.Response) { r.Data = flip(r.Data, 3) }), nil, 401, false},
		{"the last bit", relabelled(func(r *envelope.Response) { r.Data = flip(r.Data, len(r.Data)-6) }), nil, 401, false},
		{"blocks swapped", splice(t, paid, vectors.Moved(len(paid)/16, 3, 1)...), nil, 401, false},
		{"a block left out", splice(t, paid, vectors.Without(len(paid)/16, 2)...), nil, 401, false},
		{"a block twice", splice(t, paid, vectors.Inserted(len(paid)/16, 2, 4)...), nil, 401, false},
		{"all but a block", splice(t, paid, len(paid)/16), nil, 401, false},
		{"zeros", relabelled(func(r *envelope.Response) { r.Data = base64.StdEncoding.EncodeToString(make([]byte, 160)) }), nil, 401, false},

		// Under the key, and no callback of this merchant.
		{"another merchant inside", resealed(strings.Replace(paid, merchant, "TS00000002", 1)), nil, 503, false},
		{"no time", resealed(strings.Replace(paid, "finish_time", "finish_time_", 1)), nil, 400, false},
		{"a name in another case", resealed(strings.Replace(paid, "finish_time", "Finish_time", 1)), nil, 400, false},
		{"no amount", resealed(strings.Replace(paid, `"1999"`, `""`, 1)), nil, 503, false},
		{"an amount below zero", resealed(strings.Replace(paid, `"1999"`, `-1999`, 1)), nil, 503, false},
		{"an amount of nothing", resealed(strings.Replace(paid, `"1999"`, `"0"`, 1)), nil, 503, false},
		{"a second amount", resealed(strings.Replace(paid, `"tip":"0"`, `"AMOUNT":"1"`, 1)), nil, 503, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newTarget(t, nil)
			status, answer := m.post(c.body, c.header...)
			if status != c.status {
				t.Errorf("answered %d, want %d", status, c.status)
			}
			if c.status == http.StatusUnauthorized {
				uniform <- answer
			}
			if c.handled {
				m.wasGiven(honestly)
			} else {
				m.wasGiven()
			}
			if status, _ := m.post(honest); status != 200 {
				t.Errorf("the honest callback is answered %d afterwards", status)
			}
			m.wasGiven(honestly)
		})
	}
	t.Cleanup(func() {
		close(uniform)
		first, n := "", 0
		for answer := range uniform {
			if n++; n == 1 {
				first = answer
			}
			if answer != first {
				t.Errorf("failed authentications are told apart:\n%q\n%q", first, answer)
			}
		}
		if n < 10 {
			t.Errorf("%d failed authentications were compared", n)
		}
	})
}

// flip changes one bit of Base64 text.
func flip(data string, at int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := strings.IndexByte(alphabet, data[at])
	return data[:at] + alphabet[i^1:i^1+1] + data[at+1:]
}

// TestAttackReplayedActions posts a captured request and a captured response of
// every action, which the merchant's key opens, as callbacks.
func TestAttackReplayedActions(t *testing.T) {
	t.Parallel()
	m := newTarget(t, nil)
	posted := 0
	for _, name := range api.Schemas() {
		schema, ok := api.LookupSchema(name)
		if !ok || !schema.Request && !schema.Response {
			continue
		}
		for _, payload := range []string{schema.Example, strings.NewReplacer("ON00004652", merchant, "QC00005496", merchant).Replace(schema.Example)} {
			for _, code := range []string{"SUCCESS", "", "PROCESSING"} {
				posted++
				body := callbackWith(t, publishedKey, envelope.Response{Code: code, MerchantID: merchant}, payload)
				if status, _ := m.post(body); status != 400 {
					t.Errorf("%s, code %q: %d", name, code, status)
				}
			}
		}
	}
	if posted < 24*6 {
		t.Errorf("%d messages were posted", posted)
	}
	m.wasGiven()
}

// TestAttackReplay: one message again and again, and many at once.
func TestAttackReplay(t *testing.T) {
	t.Parallel()
	body := callback(t, paid)
	t.Run("again", func(t *testing.T) {
		t.Parallel()
		m := newTarget(t, nil)
		for i := range 5 {
			if status, _ := m.post(body); status != 200 {
				t.Errorf("replay %d: %d", i, status)
			}
		}
		m.wasGiven(honestly)
	})
	t.Run("fifty at once", func(t *testing.T) {
		t.Parallel()
		m := newTarget(t, nil)
		var ok, later atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				switch status, _ := m.post(body); status {
				case 200:
					ok.Add(1)
				case 503:
					later.Add(1)
				default:
					t.Errorf("answered %d", status)
				}
			})
		}
		all.Wait()
		if ok.Load() < 1 || ok.Load()+later.Load() != 50 {
			t.Errorf("%d acknowledged, %d later", ok.Load(), later.Load())
		}
		m.wasGiven(honestly)
	})
	t.Run("respelled and relabelled at once", func(t *testing.T) {
		t.Parallel()
		m := newTarget(t, nil)
		var all sync.WaitGroup
		for i := range 50 {
			var r envelope.Response
			if err := json.Unmarshal(body, &r); err != nil {
				t.Fatal(err)
			}
			r.Message = fmt.Sprint("message ", i)
			r.Data = r.Data[:i] + strings.Repeat(" ", i) + r.Data[i:]
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() { m.post(b) })
		}
		all.Wait()
		m.wasGiven(honestly)
	})
	t.Run("of another amount", func(t *testing.T) {
		t.Parallel()
		var conflicts atomic.Int32
		m := newTarget(t, func(cfg *middleware.Config) {
			cfg.OnConflict = func(context.Context, *middleware.Delivery) { conflicts.Add(1) }
		})
		for _, p := range []string{paid, strings.Replace(paid, "1999", "2999", 1), strings.Replace(paid, "WX24", "WX25", 1), paid} {
			if status, _ := m.post(callback(t, p)); status != 200 {
				t.Errorf("answered %d", status)
			}
		}
		if conflicts.Load() != 2 {
			t.Errorf("%d alarms, want 2", conflicts.Load())
		}
		m.wasGiven(honestly)
	})
	t.Run("after a failure", func(t *testing.T) {
		t.Parallel()
		var s shop
		s.err = io.ErrUnexpectedEOF
		server := httptest.NewServer(s.behind(newWebhook(t, nil)))
		t.Cleanup(server.Close)
		for range 3 {
			resp, err := http.Post(server.URL, "", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); resp.StatusCode != 503 {
				t.Errorf("answered %d", resp.StatusCode)
			}
		}
		if s.runs.Load() != 3 {
			t.Errorf("the handler ran %d times", s.runs.Load())
		}
	})
}

// TestAttackReorder: in whatever order they come, each is handled once.
func TestAttackReorder(t *testing.T) {
	t.Parallel()
	with := func(order, status string) string {
		return strings.NewReplacer(`"T1"`, `"`+order+`"`, `"tip":"0"`, `"order_status":"`+status+`"`).Replace(paid)
	}
	authorised, captured, other := with("T1", "authorised"), with("T1", "captured"), with("T2", "captured")
	said := map[string]string{authorised: "T1 authorised 1999", captured: "T1 paid 1999", other: "T2 paid 1999"}
	for _, order := range [][]string{
		{authorised, captured, other}, {captured, authorised, other}, {other, captured, authorised},
		{captured, captured, authorised}, {authorised, authorised, captured}, {captured, other, captured, authorised, other},
	} {
		m := newTarget(t, nil)
		var want []string
		for _, p := range order {
			if status, _ := m.post(callback(t, p)); status != 200 {
				t.Errorf("answered %d", status)
			}
			if s := said[p]; !strings.Contains(fmt.Sprint(want), s) {
				want = append(want, s)
			}
		}
		m.wasGiven(want...)
	}
}

// TestAttackMethods: nothing but POST is read.
func TestAttackMethods(t *testing.T) {
	t.Parallel()
	m := newTarget(t, nil)
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "PROPFIND"} {
		r, err := http.NewRequest(method, m.server.URL, bytes.NewReader(callback(t, paid)))
		if err != nil {
			t.Fatal(err)
		}
		if method == "TRACE" {
			r.Body, r.ContentLength = nil, 0
		}
		if status, _ := m.do(r); status != 405 {
			t.Errorf("%s: %d", method, status)
		}
	}
	m.wasGiven()
}

// TestAttackWire: what an HTTP library would not send.
func TestAttackWire(t *testing.T) {
	t.Parallel()
	honest, forged := string(callback(t, paid)), string(callbackWith(t, "wrong", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, paid))
	request := func(version, headers, body string) string {
		return fmt.Sprintf("POST / HTTP/%s\r\nHost: x\r\n%s\r\n%s", version, headers, body)
	}
	sized := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(body)) }
	chunked := func(body string, size int) string {
		var b strings.Builder
		for len(body) > 0 {
			n := min(size, len(body))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		return b.String() + "0\r\n\r\n"
	}
	for _, c := range []struct {
		name     string
		wire     string
		statuses []int
		handled  bool
	}{
		{"HTTP/1.0", request("1.0", sized(honest), honest), []int{200}, true},
		{"HTTP/1.0 without a length", request("1.0", "", honest), []int{400}, false},
		{"chunked", request("1.1", "Transfer-Encoding: chunked\r\n", chunked(honest, 7)), []int{200}, true},
		{"chunked and too long", request("1.1", "Transfer-Encoding: chunked\r\n", chunked(strings.Repeat(" ", 64<<10+1)+honest, 4096)), []int{413}, false},
		{"chunked with a trailer", request("1.1", "Transfer-Encoding: chunked\r\nTrailer: X\r\n", strings.TrimSuffix(chunked(honest, 50), "\r\n")+"X: 1\r\n\r\n"), []int{200}, true},
		{"two lengths", request("1.1", sized(honest)+"Content-Length: 2\r\n", honest), []int{400}, false},
		{"a length below zero", request("1.1", "Content-Length: -1\r\n", honest), []int{400}, false},
		{"a length too short", request("1.1", "Content-Length: 20\r\nConnection: close\r\n", honest), []int{400}, false},
		{"a length beyond all", request("1.1", "Content-Length: 99999999999\r\n", honest), []int{413}, false},
		{"expecting to be told to continue", request("1.1", sized(honest)+"Expect: 100-continue\r\n", honest), []int{100, 200}, true},
		{"headers twice", request("1.1", sized(honest)+"Content-Type: application/json\r\nContent-Type: text/plain\r\nHost: y\r\n", honest), []int{400}, false},
		{"pipelined", strings.Repeat(request("1.1", sized(honest), honest), 5), []int{200, 200, 200, 200, 200}, true},
		{"pipelined behind forgeries", strings.Repeat(request("1.1", sized(forged), forged), 3) + request("1.1", sized(honest), honest), []int{401, 401, 401, 200}, true},
		{"smuggled", request("1.1", sized(forged+request("1.1", sized(honest), honest)), forged+request("1.1", sized(honest), honest)), []int{400}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newTarget(t, nil)
			statuses, answers := m.raw(len(c.statuses), c.wire)
			if fmt.Sprint(statuses) != fmt.Sprint(c.statuses) {
				t.Errorf("answered %v, want %v", statuses, c.statuses)
			}
			for _, a := range answers {
				if strings.Contains(a, "T1") || strings.Contains(a, merchant) {
					t.Errorf("an answer holds what it should not: %q", a)
				}
			}
			if c.handled {
				m.wasGiven(honestly)
			} else {
				m.wasGiven()
			}
		})
	}
}

// TestAttackSlow: bodies that come slowly or never end hold a connection until
// the request's context ends, and nothing else.
func TestAttackSlow(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string]string{
		"nothing comes":         "Content-Length: 100\r\n\r\n",
		"a part comes":          "Content-Length: 100\r\n\r\n{\"rsp_code\":",
		"chunks without an end": "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startTarget(t, nil, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
					defer cancel()
					h.ServeHTTP(rw, r.WithContext(ctx))
				})
			})
			if statuses, _ := m.raw(1, "POST / HTTP/1.1\r\nHost: x\r\n"+headers); fmt.Sprint(statuses) != "[408]" {
				t.Errorf("answered %v", statuses)
			}
			if status, _ := m.post(callback(t, paid)); status != 200 {
				t.Errorf("the honest callback is answered %d meanwhile", status)
			}
			m.wasGiven(honestly)
		})
	}
}

// TestAttackFlood: forgeries by the hundred, with and without a limiter, from whichever
// client they claim to be.
func TestAttackFlood(t *testing.T) {
	t.Parallel()
	forged := callbackWith(t, "wrong", envelope.Response{Code: "SUCCESS", MerchantID: merchant}, paid)
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { return now }
	limited := func(cfg limit.Config) func(*middleware.Config) {
		return func(c *middleware.Config) {
			cfg.Now = clock
			l, err := limit.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			c.SourceLimiter = l
		}
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		name   string
		change func(*middleware.Config)
		header func(i int) []string
		failed int // are told 401; the others 429
		after  []string
		honest int
	}{
		{"without a limiter", nil, nil, 100, nil, 200},
		{"one source", limited(limit.Config{}), nil, 20, nil, 429},
		{"forged headers, none trusted", limited(limit.Config{}),
			func(i int) []string {
				return []string{"X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i), "Forwarded", fmt.Sprintf("for=198.51.100.%d", i), "X-Real-IP", "192.0.2.1"}
			}, 20, nil, 429},
		{"behind a proxy, a forged part on the left", limited(limit.Config{TrustedProxies: proxies, Header: "X-Forwarded-For"}),
			func(i int) []string { return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d, 192.0.2.7", i)} },
			20, []string{"X-Forwarded-For", "192.0.2.8"}, 200},
		{"behind a proxy, from one network", limited(limit.Config{TrustedProxies: proxies, Header: "X-Forwarded-For"}),
			func(i int) []string { return []string{"X-Forwarded-For", fmt.Sprintf("2001:db8:0:1::%x", i+1)} },
			20, []string{"X-Forwarded-For", "2001:db8:0:2::1"}, 200},
		{"behind a proxy that names no client", limited(limit.Config{TrustedProxies: proxies, Header: "X-Forwarded-For"}),
			nil, 100, nil, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newTarget(t, c.change)
			seen := map[int]int{}
			for i := range 100 {
				var header []string
				if c.header != nil {
					header = c.header(i)
				}
				status, _ := m.post(forged, header...)
				seen[status]++
			}
			if seen[401] != c.failed || seen[401]+seen[429] != 100 {
				t.Errorf("answered %v, want %d times 401", seen, c.failed)
			}
			m.wasGiven()
			if status, _ := m.post(callback(t, paid), c.after...); status != c.honest {
				t.Errorf("the honest callback is answered %d, want %d", status, c.honest)
			}
		})
	}
}
