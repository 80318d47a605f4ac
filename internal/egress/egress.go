// Package egress is the HTTP client for addresses that users choose: webhook
// receivers and http targets. Whoever may name a URL could otherwise have
// Boathook talk to what only Boathook can reach, such as the Lambda runtime
// API, an instance's metadata or a private network.
//
// The client looks at the concrete address of each connection after DNS has
// answered, so neither a name that resolves to a private address nor one that
// changes its mind between two look-ups gets through. It follows no redirect,
// uses no proxy, decodes no compression, and bounds what it reads.
package egress

import (
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

	// pingAfter is the silence on an HTTP/2 connection after which it must
	// answer a ping within pingTimeout, or count as dead.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
)

// Config says what leaves. The zero value lets https to public addresses out,
// on any port.
type Config struct {
	AllowPrefixes []netip.Prefix // addresses to allow besides the public ones
	AllowHTTP     bool           // plain http too, not only https

	// NoReuse gives each request an HTTP/1.1 connection of its own, for requests
	// that must not meet one that died unused.
	NoReuse bool
}

// Client is the guarded client. It is safe for concurrent use.
type Client struct {
	allowHTTP bool
	guard     *ssrf.Guardian
	dialer    net.Dialer
	transport http.Transport
	http      http.Client
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
	c.transport = http.Transport{
		DialContext:            c.dialer.DialContext,
		TLSHandshakeTimeout:    handshakeTimeout,
		ResponseHeaderTimeout:  maxWait,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    10, // a batch's deliveries may all go to one receiver
		IdleConnTimeout:        maxIdle,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	c.transport.Protocols.SetHTTP1(true)
	c.transport.Protocols.SetHTTP2(!cfg.NoReuse)
	if cfg.NoReuse {
		// DisableKeepAlives would send "Connection: close", at which Go's server
		// resets a connection, and its response with it, when a handler has not
		// read the request. So no connection is kept, without saying so.
		c.transport.MaxIdleConnsPerHost = -1
	}
	c.http = http.Client{
		Transport:     &c.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
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

// Do sends a request as [http.Client.Do] does. The text of its errors holds
// the request's URL, which may hold a credential: log and show [Explain]
// instead. A refusal wraps a [*RefusedError].
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && !c.allowHTTP {
		return nil, &RefusedError{"http is not allowed, only https"}
	}
	return c.http.Do(req)
}

// CloseIdle closes the connections that are kept for reuse.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// ReadBody reads at most limit bytes of a response's body and closes it; the
// rest is never transferred. A body that drips slowly ends with the request's
// context, and what came before an error is returned beside it.
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
