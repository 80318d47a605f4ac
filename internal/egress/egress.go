// Package egress is the HTTP client for addresses that users choose: webhook
// receivers and http targets. Whoever may name a URL could otherwise have
// Boathook talk to what only Boathook can reach, such as the Lambda runtime
// API, an instance's metadata or a private network.
//
// The client looks at the concrete address of each connection after DNS has
// answered, so neither a name that resolves to a private address nor one that
// changes its mind between two look-ups gets through. It follows no redirect,
// uses no proxy, decodes no compression, and bounds what it reads.
//
// It speaks HTTP/1.1 only. An HTTP/2 receiver can have the transport open
// hundreds of connections for one request, and write lines to the log without
// end.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"boathook/internal/boathook"
)

// The bounds of a request, besides its context's deadline.
const (
	dialTimeout      = 10 * time.Second // DNS and every address of the answer
	handshakeTimeout = 10 * time.Second

	// maxHeaderBytes bounds a response's headers, informational ones included.
	maxHeaderBytes = 64 << 10

	// maxWait is for a response's first byte where a caller forgot a deadline:
	// longer than any run.
	maxWait = boathook.MaxRunTimeout + time.Minute

	// maxIdle is how long an unused connection is kept. A thawed Lambda holds
	// connections that its peer has closed meanwhile; the shorter, the fewer.
	maxIdle = 30 * time.Second
)

// Config says what leaves. The zero value lets https to public addresses out,
// on any port.
type Config struct {
	AllowPrefixes []netip.Prefix // addresses to allow besides the public ones
	AllowHTTP     bool           // plain http too, not only https

	// NoReuse gives each request a connection of its own, for requests that must
	// not meet one that died unused.
	NoReuse bool

	// Keep is how many connections are kept for later requests, be they all to one
	// host: as many as there are requests at a time, else each that ends beyond them
	// closes its connection, and the next opens another. 0: 100, of which 10 to a host.
	Keep int
}

// Client is the guarded client. It is safe for concurrent use.
type Client struct {
	allowHTTP bool
	noReuse   bool
	guard     *ssrf.Guardian
	dialer    net.Dialer
	kept      http.Transport // keeps connections for later requests
	fresh     http.Transport // opens one for each request
}

// RefusedError is a request that the guard did not let out.
type RefusedError struct {
	Reason string // for the user, such as "10.0.0.7 is not a public address"
}

func (e *RefusedError) Error() string { return "refused: " + e.Reason }

// New makes a client.
func New(cfg Config) *Client {
	var v4, v6 []netip.Prefix
	for _, p := range cfg.AllowPrefixes {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	c := &Client{
		allowHTTP: cfg.AllowHTTP,
		noReuse:   cfg.NoReuse,
		guard: ssrf.New(ssrf.WithAnyPort(),
			ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
	}
	c.dialer = net.Dialer{Timeout: dialTimeout, Control: c.control}
	c.prepare(&c.kept)
	c.kept.MaxIdleConns, c.kept.MaxIdleConnsPerHost = 100, 10 // a batch's deliveries may all go to one receiver
	if cfg.Keep > 0 {
		c.kept.MaxIdleConns, c.kept.MaxIdleConnsPerHost = cfg.Keep, cfg.Keep
	}
	c.prepare(&c.fresh)
	// DisableKeepAlives would send "Connection: close", at which Go's server
	// resets a connection, and its response with it, when a handler has not read
	// the request. So no connection is kept, without saying so.
	c.fresh.MaxIdleConnsPerHost = -1
	return c
}

// prepare sets what all transports share.
func (c *Client) prepare(t *http.Transport) {
	t.DialContext = c.dialer.DialContext
	t.TLSHandshakeTimeout = handshakeTimeout
	t.ResponseHeaderTimeout = maxWait
	t.MaxResponseHeaderBytes = maxHeaderBytes
	t.DisableCompression = true
	t.IdleConnTimeout = maxIdle
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.TLSClientConfig = &tls.Config{NextProtos: []string{"http/1.1"}}
}

// control sees the concrete address of a connection that is about to be made.
func (c *Client) control(network, address string, conn syscall.RawConn) error {
	if c.guard.Safe(network, address, conn) == nil {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return notPublic(host)
}

func notPublic(addr string) *RefusedError {
	return &RefusedError{addr + " is not a public address"}
}

// Do sends a request as [http.Client.Do] does, but follows no redirection. The text of its
// errors may hold what the URL has: log and show [Explain] instead. A refusal wraps a
// [*RefusedError].
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && !c.allowHTTP {
		return nil, &RefusedError{"http is not allowed, only https"}
	}
	if user := req.URL.User; user != nil && req.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		req = req.Clone(req.Context())
		req.SetBasicAuth(user.Username(), password)
	}
	return c.roundTrip(req)
}

// errDead is why a kept connection can't carry a request: it was closed while
// nobody used it, or the receiver hangs up.
var errDead = errors.New("the connection was closed before an answer")

// roundTrip sends req at most twice. net/http sends a request that may be
// repeated again as long as its kept connections turn out dead; a receiver that
// hangs up on each of ten would get it eleven times. So the second time is on a
// new connection, where net/http leaves it at one.
func (c *Client) roundTrip(req *http.Request) (*http.Response, error) {
	if c.noReuse {
		return Final(c.fresh.RoundTrip(req))
	}
	first := req
	if req.GetBody != nil {
		first = req.WithContext(req.Context())
		first.GetBody = func() (io.ReadCloser, error) { return nil, errDead }
	}
	resp, err := c.kept.RoundTrip(first)
	if errors.Is(err, errDead) {
		second := req.WithContext(req.Context())
		if second.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
		resp, err = c.fresh.RoundTrip(second)
	}
	return Final(resp, err)
}

// InterimError is the status, below 200, of a response that is no final one but
// ended its request, such as 101 Switching Protocols.
type InterimError struct{ Status int }

func (e *InterimError) Error() string {
	return fmt.Sprintf("answered %d, which is no final response", e.Status)
}

// Final refuses a response that is no final one: it closes its body and gives an
// [*InterimError]. The body of a 101 is the bare connection, and reading it ends
// with no context. Any other response, and an error, is given back.
func Final(resp *http.Response, err error) (*http.Response, error) {
	if err != nil || resp.StatusCode >= http.StatusOK {
		return resp, err
	}
	_ = resp.Body.Close()
	return nil, &InterimError{resp.StatusCode}
}

// CloseIdle closes the connections that are kept for reuse.
func (c *Client) CloseIdle() { c.kept.CloseIdleConnections() }

// ReadBody reads at most limit bytes of a response's body and closes it; the
// rest is never transferred. It ends with the request's context, and what came
// before an error is returned beside it.
func ReadBody(resp *http.Response, limit int) (body []byte, truncated bool, err error) {
	ctx := context.Background()
	if resp.Request != nil { // as in every client's response
		ctx = resp.Request.Context()
	}
	r := Until(ctx, resp.Body)
	defer r.Close()
	body, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(body) > limit {
		return body[:limit], true, nil
	}
	if err != nil {
		return body, false, fmt.Errorf("read body: %w", err)
	}
	return body, false, nil
}

// Until is a body that is closed when ctx ends, so that no read outlasts it; a
// read that this breaks off fails with what ended ctx. net/http does this for
// most bodies, but not for all.
func Until(ctx context.Context, body io.ReadCloser) io.ReadCloser {
	return until{ctx, body, context.AfterFunc(ctx, func() { _ = body.Close() })}
}

type until struct {
	ctx  context.Context
	body io.ReadCloser
	stop func() bool
}

func (u until) Read(p []byte) (int, error) {
	n, err := u.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && u.ctx.Err() != nil {
		err = u.ctx.Err()
	}
	return n, err
}

func (u until) Close() error {
	u.stop()
	return u.body.Close()
}
