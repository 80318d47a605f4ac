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
// It speaks HTTP/1.1 only. An HTTP/2 receiver can have net/http open
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
	"net/url"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/net/http/httpguts"

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
	guard     *ssrf.Guardian
	dialer    net.Dialer
	tls       tls.Config
	kept      pool
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
		guard: ssrf.New(ssrf.WithAnyPort(),
			ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
	}
	c.dialer = net.Dialer{Timeout: dialTimeout, Control: c.control}
	c.tls.NextProtos = []string{"http/1.1"}
	c.kept.max, c.kept.maxAt = 100, 10 // a batch's deliveries may all go to one receiver
	if cfg.Keep > 0 {
		c.kept.max, c.kept.maxAt = cfg.Keep, cfg.Keep
	}
	if cfg.NoReuse {
		// Without a word to the receiver: at "Connection: close" Go's server resets a
		// connection, and its response with it, when a handler has not read the request.
		c.kept.max, c.kept.maxAt = 0, 0
	}
	return c
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

// roundTrip sends req at most twice: the second time on a new connection. A
// receiver that hangs up on each of ten that are kept would else get it eleven
// times.
func (c *Client) roundTrip(req *http.Request) (*http.Response, error) {
	at, err := placeOf(req.URL)
	if err == nil {
		err = checkHeader(req.Header)
	}
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if kept := c.kept.take(at); kept != nil {
		resp, err := kept.roundTrip(req, c.kept.put)
		if !errors.Is(err, errDead) {
			return Final(resp, err)
		}
		if req.GetBody != nil {
			req = req.WithContext(req.Context())
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
	opened, err := c.dial(req.Context(), at)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	return Final(opened.roundTrip(req, c.kept.put))
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// placeOf says where a URL leads.
func placeOf(u *url.URL) (place, error) {
	at := place{u.Scheme, u.Hostname(), u.Port()}
	switch {
	case at.host == "":
		return place{}, errors.New("the URL has no host")
	case at.scheme == "http" && at.port == "":
		at.port = "80"
	case at.scheme == "https" && at.port == "":
		at.port = "443"
	case at.scheme != "http" && at.scheme != "https":
		return place{}, fmt.Errorf("the URL's scheme is %q, neither http nor https", at.scheme)
	}
	host, err := httpguts.PunycodeHostPort(at.host)
	if err != nil {
		return place{}, fmt.Errorf("host %q: %w", at.host, err)
	}
	at.host = host
	return at, nil
}

// checkHeader refuses what HTTP can't express.
func checkHeader(header http.Header) error {
	for name, values := range header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("invalid header name %q", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("invalid value of the header %q", name) // which may be a secret
			}
		}
	}
	return nil
}

// dial opens a connection, and TLS over it.
func (c *Client) dial(ctx context.Context, at place) (*conn, error) {
	tcp, err := c.dialer.DialContext(ctx, "tcp", net.JoinHostPort(at.host, at.port))
	if err != nil {
		return nil, err
	}
	if at.scheme == "http" {
		return newConn(at, tcp, tcp), nil
	}
	config := c.tls.Clone()
	config.ServerName = at.host
	secure := tls.Client(tcp, config)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = tcp.Close()
		return nil, err
	}
	return newConn(at, tcp, secure), nil
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
func (c *Client) CloseIdle() { c.kept.closeAll() }

// ReadBody reads at most limit bytes of a response's body and closes it; the
// rest is never transferred. What came before an error is returned beside it.
func ReadBody(resp *http.Response, limit int) (body []byte, truncated bool, err error) {
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if len(body) > limit {
		return body[:limit], true, nil
	}
	if err != nil {
		return body, false, fmt.Errorf("read body: %w", err)
	}
	return body, false, nil
}
