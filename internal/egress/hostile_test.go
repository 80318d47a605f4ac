package egress_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/egress"
)

// villain is a receiver that misbehaves, over TLS in which it offers protocols.
type villain struct {
	url    string
	client *egress.Client
	conns  atomic.Int64 // connections that it took
	posts  atomic.Int64 // requests that it read to their end
}

// conn is a villain's side of one connection.
type conn struct {
	net.Conn
	r *bufio.Reader
	v *villain
}

// post reads a request to its end.
func (c *conn) post() bool {
	req, err := http.ReadRequest(c.r)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return false
	}
	c.v.posts.Add(1)
	return true
}

// say writes text, and reports whether the client still takes it.
func (c *conn) say(text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// flood writes text until the client has hung up.
func (c *conn) flood(text string) {
	for text = strings.Repeat(text, 1+4096/len(text)); c.say(text); {
	}
}

// hold keeps the connection until the client has hung up.
func (c *conn) hold() { _, _ = io.Copy(io.Discard, c.r) }

// newVillain serves each connection by behave.
func newVillain(t *testing.T, cfg egress.Config, protocols []string, behave func(*conn)) *villain {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &certificate, &certificate, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: protocols,
	})
	if err != nil {
		t.Fatal(err)
	}
	v := &villain{url: "https://" + l.Addr().String() + "/", client: egress.New(cfg)}
	v.client.Trust(pool)
	var serving sync.WaitGroup
	stop, end := context.WithCancel(context.Background())
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			v.conns.Add(1)
			serving.Go(func() {
				defer c.Close()
				defer context.AfterFunc(stop, func() { c.Close() })()
				behave(&conn{c, bufio.NewReader(c), v})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		end()
		serving.Wait()
	})
	return v
}

// ask sends a delivery and reads the answer. It fails the test after half a
// minute, which is for what nothing ends.
func (v *villain) ask(t *testing.T, ctx context.Context) (status int, body []byte, err error) {
	t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		status, body, err = v.deliver(ctx)
	}()
	select {
	case <-over:
		return status, body, err
	case <-time.After(30 * time.Second):
		t.Fatalf("the request does not end, after %d connections and %d POSTs", v.conns.Load(), v.posts.Load())
		panic("unreachable")
	}
}

// deliver does as package delivery.
func (v *villain) deliver(ctx context.Context) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url, strings.NewReader(`{"a":1}`))
	if err != nil {
		return 0, nil, err
	}
	req.Header[boathook.IdempotencyKey] = nil // a delivery may be sent again on a dead connection
	resp, err := v.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	body, _, err = egress.ReadBody(resp, boathook.MaxResponseBody)
	return resp.StatusCode, body, err
}

// frame is one of HTTP/2 (RFC 9113, section 4.1).
func frame(typ, flags byte, stream uint32, payload []byte) string {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), typ, flags}
	return string(append(binary.BigEndian.AppendUint32(b, stream), payload...))
}

const (
	switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
	chunked   = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
)

// A receiver may send what it likes: the request ends by itself or by its
// context, is sent once over one connection, and takes little memory.
func TestARequestToAHostileReceiverEndsAndIsSentOnce(t *testing.T) {
	// What ends a request by its context has the test cancel it.
	type cancel = context.CancelFunc
	for name, behave := range map[string]func(*conn, cancel){
		"103 without end":         func(c *conn, _ cancel) { c.flood("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") },
		"100 without end":         func(c *conn, _ cancel) { c.flood("HTTP/1.1 100 Continue\r\n\r\n") },
		"102, then silence":       func(c *conn, end cancel) { c.say("HTTP/1.1 102 Processing\r\n\r\n"); end(); c.hold() },
		"headers without end":     func(c *conn, _ cancel) { c.say("HTTP/1.1 200 OK\r\n"); c.flood("X: y\r\n") },
		"one header without end":  func(c *conn, _ cancel) { c.say("HTTP/1.1 200 OK\r\nX: "); c.flood("y") },
		"a folded header":         func(c *conn, _ cancel) { c.say("HTTP/1.1 200 OK\r\nX: y\r\n"); c.flood(" y\r\n") },
		"a status line":           func(c *conn, _ cancel) { c.say("HTTP/1.1 200 "); c.flood("OK") },
		"bytes without a line":    func(c *conn, _ cancel) { c.flood("\x00") },
		"half a header":           func(c *conn, end cancel) { c.say("HTTP/1.1 200 OK\r\nX: y"); end(); c.hold() },
		"silence":                 func(c *conn, end cancel) { end(); c.hold() },
		"a body that never comes": func(c *conn, end cancel) { c.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"); end(); c.hold() },
		"a body without end":      func(c *conn, _ cancel) { c.say("HTTP/1.1 200 OK\r\n\r\n"); c.flood("x") },
		"chunks without end":      func(c *conn, _ cancel) { c.say(chunked); c.flood("1\r\nx\r\n") },
		"a chunk's extension":     func(c *conn, _ cancel) { c.say(chunked); c.flood("1;x=y") },
		"empty chunk extensions":  func(c *conn, _ cancel) { c.say(chunked); c.flood("1;" + strings.Repeat("x", 4000) + "\r\nx\r\n") },
		"trailers without end":    func(c *conn, _ cancel) { c.say(chunked + "1\r\nx\r\n0\r\n"); c.flood("X: y\r\n") },
		"a trailer that hangs":    func(c *conn, end cancel) { c.say(chunked + "1\r\nx\r\n0\r\nX:"); end(); c.hold() },
		"101, then silence":       func(c *conn, _ cancel) { c.say(switching); c.hold() },
		"101, then a flood":       func(c *conn, _ cancel) { c.say(switching); c.flood("x") },
		"101 without a protocol":  func(c *conn, _ cancel) { c.say("HTTP/1.1 101 Switching Protocols\r\n\r\n"); c.hold() },
		"a status below 100":      func(c *conn, _ cancel) { c.say("HTTP/1.1 099 None\r\nContent-Length: 9\r\n\r\n"); c.hold() },
		"garbage after the answer": func(c *conn, _ cancel) {
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			c.flood("garbage")
		},
		"answers without end":    func(c *conn, _ cancel) { c.flood("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") },
		"hanging up":             func(*conn, cancel) {},
		"hanging up in a header": func(c *conn, _ cancel) { c.say("HTTP/1.1 200 OK\r\nX") },
		"hanging up in a body":   func(c *conn, _ cancel) { c.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") },
		"closing politely":       func(c *conn, _ cancel) { c.say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") },
		"asking to come again":   func(c *conn, _ cancel) { c.say("HTTP/1.1 421 Misdirected Request\r\nRetry-After: 0\r\n\r\n") },
		"a time-out":             func(c *conn, _ cancel) { c.say("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n") },

		// HTTP/2, as an answer to HTTP/1.1.
		"HTTP/2 settings": func(c *conn, _ cancel) { c.flood(frame(4, 0, 0, nil)) },
		"HTTP/2 pings":    func(c *conn, _ cancel) { c.flood(frame(6, 0, 0, make([]byte, 8))) },
		"HTTP/2 priority": func(c *conn, _ cancel) { c.flood(frame(4, 0, 0, nil) + frame(2, 0, 1, make([]byte, 5))) },
		"HTTP/2 unknown":  func(c *conn, _ cancel) { c.flood(frame(0xfa, 0, 1, make([]byte, 16000))) },
		"HTTP/2 goaway":   func(c *conn, _ cancel) { c.say(frame(4, 0, 0, nil) + frame(7, 0, 0, make([]byte, 8))) },
		"HTTP/2 refusal":  func(c *conn, _ cancel) { c.say(frame(4, 0, 0, nil) + frame(3, 0, 1, []byte{0, 0, 0, 7})) },
	} {
		for protocols, noReuse := range map[string]bool{"h2 http/1.1": false, "h2": false, "": true} {
			t.Run(name+", offering "+protocols, func(t *testing.T) {
				lines := countLogLines(t)
				ctx, end := context.WithCancel(t.Context())
				defer end()
				cfg := local
				cfg.NoReuse = noReuse
				v := newVillain(t, cfg, strings.Fields(protocols), func(c *conn) {
					if c.post() {
						behave(c, end)
					}
				})
				before := allocated()
				status, body, err := v.ask(t, ctx)
				used := allocated() - before
				if conns, posts := v.conns.Load(), v.posts.Load(); conns != 1 || posts != 1 {
					t.Errorf("%d connections and %d POSTs for one request to %s, answered %d, %v", conns, posts, v.url, status, err)
				}
				if status < 200 && err == nil {
					t.Errorf("answered %d with %q", status, body)
				}
				if used > 16<<20 { // the villain's own buffers among it
					t.Errorf("it took %d KiB", used>>10)
				}
				v.client.CloseIdle()
				if n := lines(); n > 1 {
					t.Errorf("%d lines were logged", n)
				}
			})
		}
	}
}

func TestAReceiverThatSpeaksOnlyAnotherProtocolIsRefusedInTheHandshake(t *testing.T) {
	v := newVillain(t, local, []string{"h3"}, func(c *conn) { c.post() })
	_, _, err := v.ask(t, t.Context())
	if got, want := egress.Explain(err, 0), "the server does not speak HTTP/1.1, by which requests are sent, but HTTP/2 or something else"; got != want {
		t.Errorf("got %q for %v, want %q", got, err, want)
	}
	if v.conns.Load() != 1 || v.posts.Load() != 0 {
		t.Errorf("%d connections, %d POSTs", v.conns.Load(), v.posts.Load())
	}
}

func TestAnInterimResponseIsNoAnswer(t *testing.T) {
	for _, noReuse := range []bool{false, true} {
		cfg := local
		cfg.NoReuse = noReuse
		v := newVillain(t, cfg, nil, func(c *conn) {
			c.post()
			c.say(switching)
			c.hold() // until the client closes it
		})
		_, _, err := v.ask(t, t.Context())
		if got, want := egress.Explain(err, 0), "answered 101, which is no final response"; got != want {
			t.Errorf("got %q for %v, want %q", got, err, want)
		}
	}
}

// What a receiver sends unasked answers no later request, be it sent with the
// answer, after it in a record of TLS of its own, or when the answer has been read.
func TestAnUnaskedAnswerEndsItsConnection(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	for name, texts := range map[string][]string{ // "": until the answer has been read
		"with the answer":    {answer + "first" + answer + "other"},
		"after the answer":   {answer + "first", answer + "other"},
		"half of one":        {answer + "first", "HTTP"},
		"after it was read":  {answer + "first", "", answer + "other"},
		"a byte after it":    {answer + "first", "", "x"},
		"an end, not a byte": {answer + "first", ""},
	} {
		t.Run(name, func(t *testing.T) {
			countLogLines(t)
			said, read := make(chan struct{}, 3), make(chan struct{}, 3)
			v := newVillain(t, local, nil, func(c *conn) {
				c.post()
				for _, text := range texts {
					if text == "" {
						<-read
					} else {
						c.say(text)
					}
				}
				if texts[len(texts)-1] == "" {
					_ = c.Close()
				}
				said <- struct{}{}
				c.hold() // until the client closes it
			})
			for n := range int64(3) {
				if _, body, err := v.ask(t, t.Context()); string(body) != "first" || err != nil {
					t.Errorf("request %d is answered %q, %v", n, body, err)
				}
				read <- struct{}{}
				<-said // it is in the client's socket
				if conns := v.conns.Load(); conns != n+1 {
					t.Errorf("%d connections for %d requests", conns, n+1)
				}
			}
		})
	}
}

// A receiver need not read what it is sent. What is much is written while its answer
// is looked for.
func TestABodyThatNobodyReads(t *testing.T) {
	much := strings.Repeat("x", 16<<20)
	ask := func(v *villain, ctx context.Context, body io.Reader) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url, body)
		if err != nil {
			return nil, err
		}
		return v.client.Do(req)
	}
	t.Run("is answered", func(t *testing.T) {
		v := newVillain(t, local, nil, func(c *conn) {
			if _, err := http.ReadRequest(c.r); err == nil {
				c.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
				<-t.Context().Done()
			}
		})
		for range 2 {
			resp, err := ask(v, t.Context(), strings.NewReader(much))
			if err != nil {
				t.Fatal(err)
			}
			body, _, err := egress.ReadBody(resp, 10)
			if resp.StatusCode != http.StatusRequestEntityTooLarge || string(body) != "big" || err != nil {
				t.Errorf("got %s with %q, %v", resp.Status, body, err)
			}
		}
		if n := v.conns.Load(); n != 2 {
			t.Errorf("%d connections: one is half written, and can carry no second request", n)
		}
	})
	t.Run("is answered, and hung up on", func(t *testing.T) {
		v := newVillain(t, local, nil, func(c *conn) {
			if _, err := http.ReadRequest(c.r); err == nil {
				c.say("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\n")
				_ = c.Conn.(*tls.Conn).CloseWrite()
				c.hold()
			}
		})
		resp, err := ask(v, t.Context(), strings.NewReader(much))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("got %s", resp.Status)
		}
	})
	t.Run("ends with the context", func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		v := newVillain(t, local, nil, func(c *conn) {
			if _, err := http.ReadRequest(c.r); err == nil {
				end()
				<-t.Context().Done()
			}
		})
		if resp, err := ask(v, ctx, strings.NewReader(much)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, %v", resp, err)
		}
	})
	t.Run("can't be read here", func(t *testing.T) {
		for _, size := range []int64{10, 1 << 20, -1} {
			v := newVillain(t, local, nil, func(c *conn) { c.post() })
			req, err := http.NewRequest(http.MethodPost, v.url, io.MultiReader(strings.NewReader("{"), iotest.ErrReader(errors.New("broken"))))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = size
			if resp, err := v.client.Do(req); err == nil || err.Error() != "broken" { // net/http wraps it in a type of its own
				t.Errorf("of %d bytes: got %v, %v", size, resp, err)
			}
			if n := v.posts.Load(); n != 0 {
				t.Errorf("of %d bytes: the receiver has a whole request", size)
			}
		}
	})
}

// FuzzAnswersAreReadAsNetHTTPReads compares what a receiver's bytes are taken for.
func FuzzAnswersAreReadAsNetHTTPReads(f *testing.F) {
	for _, answer := range []string{
		"", "x", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nto the end", "HTTP/1.0 200 OK\r\n\r\nto the end", "HTTP/1.1 204 No Content\r\n\r\nmore",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
		chunked + "2\r\nok\r\n0\r\n\r\n", chunked + "2\r\nok\r\n0\r\nX: y\r\n\r\n", chunked + "2\r\nok", chunked + "zz\r\n", chunked + "2;x=y\r\nok\r\n0\r\n\r\nmore",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n",
		"HTTP/1.1 099 None\r\n\r\n", "HTTP/1.1 999 All\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n",
		"HTTP/1.1 200 OK\nX: y\n\nok", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "HTTP/1.1 200 OK\r\n X: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "HTTP/1.1 200 OK\r\nX\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
	} {
		f.Add([]byte(answer))
	}
	answers := make(chan []byte, 1)
	url := answering(f, func() []byte { return <-answers })
	plain := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: -1}
	cfg := local
	cfg.NoReuse = true
	client := egress.New(cfg)
	log.SetOutput(io.Discard) // net/http tells of what comes unasked
	f.Cleanup(func() { log.SetOutput(os.Stderr) })
	f.Fuzz(func(t *testing.T, answer []byte) {
		read := func(do func(*http.Request) (*http.Response, error)) (status int, header http.Header, body []byte, failed bool) {
			answers <- answer
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := do(req)
			if err != nil {
				return 0, nil, nil, true
			}
			body, _, err = egress.ReadBody(resp, 1<<20)
			return resp.StatusCode, resp.Header, body, err != nil
		}
		status, header, body, failed := read(client.Do)
		wantStatus, wantHeader, wantBody, wantFailed := read(func(r *http.Request) (*http.Response, error) { return egress.Final(plain.RoundTrip(r)) })
		if status != wantStatus || failed != wantFailed || !bytes.Equal(body, wantBody) || !reflect.DeepEqual(header, wantHeader) {
			t.Errorf("%q\nis taken for %d, %v, %q, failed: %v\nand by net/http for %d, %v, %q, failed: %v",
				answer, status, header, body, failed, wantStatus, wantHeader, wantBody, wantFailed)
		}
	})
}

// A receiver that keeps ten connections and then hangs up on each request gets
// one as often as from a client that keeps one: once more, on a new connection.
func TestARequestIsSentAtMostTwiceHoweverManyKeptConnectionsDie(t *testing.T) {
	const kept = 10
	for name, hangUp := range map[string]func(*conn){
		"before it reads": func(*conn) {},
		"after it reads":  func(c *conn) { c.post() },
		"with a reset": func(c *conn) {
			c.post()
			_ = c.Conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
			_ = c.Conn.(*tls.Conn).NetConn().Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var arrived sync.WaitGroup
			arrived.Add(kept)
			asked := make(chan struct{})
			v := newVillain(t, local, nil, func(c *conn) {
				select {
				case <-asked: // a new connection
				default:
					c.post()
					arrived.Done()
					arrived.Wait() // so that none is used twice
					c.say("HTTP/1.1 204 No Content\r\n\r\n")
					_, _ = c.r.Peek(1) // the next request, or the end
				}
				hangUp(c)
			})
			var asking sync.WaitGroup
			for range kept {
				asking.Go(func() {
					if status, _, err := v.deliver(t.Context()); status != http.StatusNoContent {
						t.Errorf("answered %d, %v", status, err)
					}
				})
			}
			asking.Wait()
			close(asked)
			v.posts.Store(0)
			if status, _, err := v.ask(t, t.Context()); err == nil {
				t.Errorf("answered %d", status)
			}
			if posts, conns := v.posts.Load(), v.conns.Load(); posts > 2 || conns != kept+1 {
				t.Errorf("%d POSTs, and %d new connections, for one request", posts, conns-kept)
			}
		})
	}
}

// A thawed Lambda function finds all its kept connections dead.
func TestARequestIsSentAgainOnANewConnectionIfItsKeptOneIsDead(t *testing.T) {
	var first atomic.Bool
	closed := make(chan struct{})
	v := newVillain(t, local, nil, func(c *conn) {
		again := !first.Swap(true)
		c.post()
		c.say("HTTP/1.1 204 No Content\r\n\r\n")
		if again {
			_, _ = c.r.Peek(1)
			close(closed)
			return // with the second request unanswered
		}
		c.hold()
	})
	for n := range 2 {
		if status, _, err := v.ask(t, t.Context()); status != http.StatusNoContent {
			t.Errorf("request %d: answered %d, %v", n, status, err)
		}
	}
	<-closed
	if v.conns.Load() != 2 {
		t.Errorf("%d connections", v.conns.Load())
	}
}

// countLogLines counts what net/http writes by package log until the test ends.
func countLogLines(t *testing.T) func() int {
	var mu sync.Mutex
	var text bytes.Buffer
	before := log.Writer()
	t.Cleanup(func() { log.SetOutput(before) })
	log.SetOutput(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	}))
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Count(text.Bytes(), []byte("\n"))
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
