package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// noHTTP1 is for a server that knows HTTP/2 alone: requests are made by HTTP/1.1.
const noHTTP1 = "the server does not speak HTTP/1.1, by which requests are sent, but HTTP/2 or something else"

// http2Frame is how net/http shows the frame that such a server begins with.
const http2Frame = `malformed HTTP response "\x00\x00`

// Explain puts what went wrong with a request or its response into a few
// words for a user's log, without the URL, resolvers or other inner workings.
// elapsed is how long the request took, for a time-out to name. It is one list of
// cases, since their order counts: a refusal may wrap a time-out.
func Explain(err error, elapsed time.Duration) string {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Error()
	}
	if interim, ok := errors.AsType[*InterimError](err); ok {
		return interim.Error()
	}
	if errors.Is(err, context.Canceled) {
		return "canceled"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return "no such host: the name " + dns.Name + " has no address in the DNS"
		case dns.IsTimeout:
			return "DNS look-up timed out"
		}
		return "DNS look-up failed"
	}
	if words, ok := explainTLS(err); ok {
		return words
	}
	if IsTimeout(err) {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return fmt.Sprintf("could not connect: timed out after %s", round(elapsed))
		}
		return fmt.Sprintf("timed out after %s", round(elapsed))
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "host unreachable"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the response was complete"
	// net/http has no types for these texts. The second comes from its own transport, which
	// internal/probe uses.
	case strings.Contains(err.Error(), http2Frame):
		return noHTTP1
	case errors.Is(err, errHeaders), strings.Contains(err.Error(), "response headers exceeded"):
		return errHeaders.Error()
	}
	return "no valid HTTP response"
}

func explainTLS(err error) (string, bool) {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "certificate signed by an unknown authority", true
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate is for another host than " + wrong.Host, true
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "certificate has expired or is not yet valid", true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "certificate is not valid", true
	}
	if strings.Contains(err.Error(), "no application protocol") {
		return noHTTP1, true
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && (alert.Op == "remote error" || alert.Op == "local error") {
		return "TLS handshake failed: " + strings.TrimPrefix(alert.Err.Error(), "tls: "), true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		return "the server does not speak TLS", true
	}
	return "", false
}

// IsTimeout reports whether a request failed since it took too long.
func IsTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// round keeps a tenth of a second.
func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
