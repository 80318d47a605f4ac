// Package client speaks the API of a Boathook, on AWS or on one machine, as its
// /openapi.json describes it. The command line is built on it.
//
// A request that may be repeated without harm is, while the server can't be reached or is
// too busy, after the time that its Retry-After asks for. Reads and deletions may; so may
// what starts a run or publishes an event, which carries an Idempotency-Key. Another
// write is repeated only if it was refused before anything was done.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-cleanhttp"
	"github.com/hashicorp/go-retryablehttp"

	"boathook/internal/boathook"
)

const (
	attempts = 5
	// maxWait is the longest that a request waits for its next attempt. A server that
	// asks for more is not waited for.
	maxWait = 30 * time.Second
	// maxAnswer is more than any answer of the API: a run with its input and output.
	maxAnswer = 16 << 20
	// maxError is how much is read of an answer that is an error.
	maxError = 64 << 10
)

// Client speaks with one Boathook as the holder of one token. Make it with [New].
type Client struct {
	base  string // without a slash at its end
	token string
	http  *http.Client // repeats
	plain *http.Client // does not; for the WebSocket
}

// Option changes a [Client] that is made.
type Option func(*retryablehttp.Client)

// WithTransport sends requests by a transport of one's own.
func WithTransport(t http.RoundTripper) Option {
	return func(c *retryablehttp.Client) { c.HTTPClient.Transport = t }
}

// WithWait replaces the wait before a repeated attempt by what f says.
func WithWait(f func(retry int, asked time.Duration) time.Duration) Option {
	return func(c *retryablehttp.Client) {
		c.Backoff = func(_, _ time.Duration, retry int, res *http.Response) time.Duration { return f(retry, asked(res)) }
	}
}

// New makes a client of the Boathook at a URL. The token may be empty, for what needs
// none.
func New(baseURL, token string, options ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q is not the URL of a Boathook: it begins with https:// (or http:// on one machine)", baseURL)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL of a Boathook has no user, query or fragment")
	}
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: cleanhttp.DefaultPooledTransport()}
	c.Logger = nil
	c.RetryMax = attempts - 1
	c.RetryWaitMin, c.RetryWaitMax = 200*time.Millisecond, maxWait
	c.CheckRetry = mayRepeat
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler // the last answer says why
	for _, o := range options {
		o(c)
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), token: token, http: c.StandardClient(), plain: c.HTTPClient}, nil
}

// URL is that of the Boathook, without a slash at its end.
func (c *Client) URL() string { return c.base }

// As is the same Boathook's client for the holder of another token.
func (c *Client) As(token string) *Client {
	other := *c
	other.token = token
	return &other
}

// repeatable marks the context of a request that may be repeated although it may have
// been carried out.
type repeatable struct{}

// mayRepeat says whether a request is sent again after an answer or an error.
func mayRepeat(ctx context.Context, res *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	harmless := ctx.Value(repeatable{}) != nil
	if err != nil {
		again, _ := retryablehttp.DefaultRetryPolicy(ctx, nil, err)
		return again && harmless, nil
	}
	if asked(res) > maxWait {
		return false, nil
	}
	busy := res.StatusCode == http.StatusTooManyRequests
	return busy || harmless && res.StatusCode >= http.StatusInternalServerError && res.StatusCode != http.StatusNotImplemented, nil
}

// asked is the wait that an answer asks for; 0 if it asks for none.
func asked(res *http.Response) time.Duration {
	if res == nil {
		return 0
	}
	wait, _ := boathook.ParseRetryAfter(res.Header.Get("Retry-After"), time.Now())
	return wait
}

// request is one call of the API.
type request struct {
	method string
	path   string // below the base, with its query
	header http.Header
	body   any  // sent as JSON; nil: none, []byte: as it is
	once   bool // it must not be repeated if it may have been carried out
}

// do makes a call and gives its answer, which is a success. Close its body.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	if !r.once {
		ctx = context.WithValue(ctx, repeatable{}, true)
	}
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer res.Body.Close()
		return nil, readError(res)
	}
	return res, nil
}

// request makes the request of a call.
func (c *Client) request(ctx context.Context, r request) (*http.Request, error) {
	body, err := encode(r.body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header
	}
	req.Header.Set("User-Agent", "Boathook-CLI/"+boathook.Release)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

func encode(body any) ([]byte, error) {
	switch b := body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return b, nil
	default:
		return boathook.EncodeJSON(b)
	}
}

// call makes a call and decodes its answer.
func call[T any](ctx context.Context, c *Client, r request) (answer T, err error) {
	res, err := c.do(ctx, r)
	if err != nil {
		return answer, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNoContent {
		return answer, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer, unreachable(ctx, err)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, fmt.Errorf("%s does not answer as a Boathook does: %w", c.base, err)
	}
	return answer, nil
}

// get reads what is at a path.
func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, request{method: http.MethodGet, path: path})
}

// post writes, once.
func post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return call[T](ctx, c, request{method: http.MethodPost, path: path, body: in, once: true})
}

// join makes a path of elements that are escaped.
func join(elements ...string) string {
	var path strings.Builder
	for _, e := range elements {
		path.WriteString("/" + url.PathEscape(e))
	}
	return path.String()
}
