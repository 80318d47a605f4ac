package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"boathook/internal/boathook"
)

// maxAtOnce is how many bytes of a body are written before its answer is looked for.
// So many the receiver's system takes by itself: writing them doesn't wait for the
// receiver to read.
const maxAtOnce = 32 << 10

// errHeaders is why a response is not read: its headers are too long.
var errHeaders = fmt.Errorf("response headers over %d bytes", maxHeaderBytes)

// errDead is why a kept connection can't carry a request: it was closed while
// nobody used it, or the receiver hangs up.
var errDead = errors.New("the connection was closed before an answer")

// conn is a connection to a receiver. It carries one request at a time, by
// HTTP/1.1 (RFC 9112).
//
// net/http writes the requests and parses the responses, but in the goroutine that
// asks. Its own transport hands each request to two goroutines of the connection and
// back, which takes longer and allocates more (BenchmarkRequest).
type conn struct {
	at     place
	tcp    net.Conn
	stream net.Conn // tcp, or TLS over it
	in     *bufio.Reader
	out    *bufio.Writer

	left     int64         // how many bytes may still be read: bounds the headers
	answered bool          // a byte of the response has come
	sent     chan struct{} // closed when the request has been written; nil: that is not waited for
	sendErr  error         // why it could not be written; see written
	used     bool          // it carried a request before
	since    time.Time     // when it was last used
}

// place is where a connection leads.
type place struct{ scheme, host, port string }

func newConn(at place, tcp, stream net.Conn) *conn {
	c := &conn{at: at, tcp: tcp, stream: stream}
	c.in, c.out = bufio.NewReader(c), bufio.NewWriter(stream)
	return c
}

// Read is what in reads from. It bounds the headers.
func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeaders
	}
	n, err := c.stream.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.answered = c.answered || n > 0
	return n, err
}

// close closes a connection that does nothing.
func (c *conn) close() { _ = c.stream.Close() }

// cut closes the connection in the middle of whatever it does. Closing TLS's
// side would wait for a receiver that reads nothing.
func (c *conn) cut() { _ = c.tcp.Close() }

// roundTrip sends req and reads the headers of its response. The response's body
// ends with the request's context. When it has been read to its end, keep is given
// the connection, if it can carry another request. An error that wraps [errDead] says
// that req may be sent on another connection.
func (c *conn) roundTrip(req *http.Request, keep func(*conn)) (*http.Response, error) {
	c.left, c.answered, c.sent, c.sendErr = maxHeaderBytes, false, nil, nil
	ctx := req.Context()
	stop := context.AfterFunc(ctx, c.cut)
	resp, err := c.exchange(req)
	if err != nil {
		stop()
		c.cut()
		c.await()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case c.used && !c.answered && repeatable(req):
			return nil, fmt.Errorf("%w: %w", errDead, err)
		}
		return nil, err
	}
	c.left = math.MaxInt64
	b := &body{ReadCloser: resp.Body, ctx: ctx, c: c, stop: stop}
	if !req.Close && !resp.Close && resp.StatusCode >= http.StatusOK {
		b.keep = keep
	}
	if resp.Body == http.NoBody {
		b.end(true)
	} else {
		resp.Body = b
	}
	return resp, nil
}

// exchange sends req, and reads the headers of what answers it for good.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	if size := req.ContentLength; req.Body == nil || req.Body == http.NoBody || 0 < size && size <= maxAtOnce {
		c.send(req)
	} else {
		c.sent = make(chan struct{})
		go c.send(req)
	}
	if _, bounded := req.Context().Deadline(); !bounded {
		_ = c.stream.SetReadDeadline(time.Now().Add(maxWait))
		defer func() { _ = c.stream.SetReadDeadline(time.Time{}) }()
	}
	for {
		// A receiver may answer and hang up before it has read the request. So the answer
		// is looked for even if the request could not be sent.
		resp, err := http.ReadResponse(c.in, req)
		if err == nil && resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue // maxHeaderBytes are for it and all that follow
		}
		if err != nil && c.written() && c.sendErr != nil {
			return nil, c.sendErr
		}
		return resp, err
	}
}

// send writes req.
func (c *conn) send(req *http.Request) {
	err := req.Write(c.out)
	if err == nil {
		err = c.out.Flush()
	}
	c.sendErr = err
	if c.sent != nil {
		close(c.sent)
	}
	if _, network := errors.AsType[net.Error](err); err != nil && !network {
		c.cut() // its body could not be read, and the receiver would wait for the rest
	}
}

// written reports whether the writing of the request is over, and sendErr says how.
func (c *conn) written() bool {
	if c.sent == nil {
		return true
	}
	select {
	case <-c.sent:
		return true
	default:
		return false
	}
}

// await returns when the writing of the request is over.
func (c *conn) await() {
	if c.sent != nil {
		<-c.sent
	}
}

// alive reports whether a connection that was kept can carry a request: it is not too
// old, and its receiver has neither closed it nor sent what nobody asked for.
func (c *conn) alive() bool {
	if time.Since(c.since.Round(0)) >= maxIdle { // by the wall's clock: a frozen Lambda function's other one stands still
		return false
	}
	raw, err := c.tcp.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, err := syscall.Read(int(fd), one[:])
		quiet = errors.Is(err, syscall.EAGAIN)
		return true // don't wait for more
	})
	if err != nil || !quiet {
		return false
	}
	if _, secure := c.stream.(*tls.Conn); !secure {
		return true
	}
	// TLS may have read more than it was asked for. It looks there before the deadline.
	var one [1]byte
	_ = c.stream.SetReadDeadline(time.Unix(1, 0))
	_, err = c.stream.Read(one[:])
	_ = c.stream.SetReadDeadline(time.Time{})
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// repeatable reports whether req may be sent again though the receiver may have read
// it. As in net/http, it may if its method changes nothing, or if its header has an
// idempotency key. A key without a value says so, and is not sent.
func repeatable(req *http.Request) bool {
	if req.Body != nil && req.GetBody == nil {
		return false
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	_, ok := req.Header[boathook.IdempotencyKey]
	return ok
}

// body is a response's. It may be closed while it is read.
type body struct {
	io.ReadCloser
	ctx  context.Context
	c    *conn
	stop func() bool // from then on the context cuts nothing; false: it has
	keep func(*conn) // nil: the connection can carry no other request
	over atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	whole := errors.Is(err, io.EOF)
	b.end(whole)
	if !whole && b.ctx.Err() != nil {
		err = b.ctx.Err()
	}
	return n, err
}

// Close closes the connection, unless the body has been read to its end. It never
// reads the rest, as the Close of the body that net/http made does.
func (b *body) Close() error {
	b.end(false)
	return nil
}

// end ends the request: its response has been read whole, or no more of it will be.
func (b *body) end(whole bool) {
	if b.over.Swap(true) {
		return
	}
	if b.stop() && whole && b.keep != nil && b.c.in.Buffered() == 0 && b.c.written() && b.c.sendErr == nil {
		b.keep(b.c)
		return
	}
	if whole {
		b.c.close()
	} else {
		b.c.cut()
	}
	b.c.await()
}
