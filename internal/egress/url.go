package egress

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// MaxURLLength is the limit of a URL that a user gives, in bytes.
const MaxURLLength = 2048

// The patterns are compiled when the first URL is checked: cold starts need not
// wait for them.
var (
	hostName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([a-zA-Z0-9_-]{1,63}\.)*[a-zA-Z0-9_-]{1,63}\.?$`)
	})

	// numericHost is a host that some resolvers read as an IPv4 address:
	// 2130706433, 0x7f000001, 0177.0.0.1, 127.1.
	numericHost = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(^|\.)([0-9]+|0[xX][0-9a-fA-F]*)\.?$`)
	})
)

// CheckURL reports why requests to a URL could never leave, as a
// [boathook.Invalid] error about field. Path and query of one that passes are
// sent byte for byte as they are written. CheckURL asks no DNS: what a name
// resolves to is checked at each connection.
func (c *Client) CheckURL(field, raw string) error {
	if len(raw) > MaxURLLength {
		return boathook.InvalidField(field, "longer than %d bytes", MaxURLLength)
	}
	if bad := unsendable(raw); bad != "" {
		return boathook.InvalidField(field, "%q can't be sent in a URL: percent-encode it, as %s", bad, percentEncoded(bad))
	}
	// The parser's error would repeat the URL, which may hold a credential.
	u, err := url.Parse(raw)
	if err != nil {
		return boathook.InvalidField(field, "not a URL")
	}
	switch {
	case u.Scheme == "http" && !c.allowHTTP:
		return boathook.InvalidField(field, "http is not allowed: the URL must begin with https://")
	case u.Scheme != "http" && u.Scheme != "https":
		return boathook.InvalidField(field, "not an absolute URL: it must begin with https://")
	case u.Hostname() == "":
		return boathook.InvalidField(field, "the URL has no host")
	case u.User != nil:
		return boathook.InvalidField(field, "the URL must not hold a user name or password")
	case strings.Contains(raw, "#"):
		return boathook.InvalidField(field, "the URL must not have a fragment (#…)")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return boathook.InvalidField(field, "%s is not a port: use 1 to 65535", port)
		}
	}
	return c.checkHost(field, u.Hostname())
}

// unsendable is the first character of a URL's path or query that is not sent as
// it is written, or empty if there is none. net/http writes a query as it stands,
// with spaces that break the request line. A path it encodes anew if it has
// characters that RFC 3986, section 3.3, does not allow.
func unsendable(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	start := strings.IndexAny(rest, "/?")
	if start < 0 {
		return ""
	}
	inQuery := false
	for i, r := range rest[start:] {
		inQuery = inQuery || r == '?'
		if r <= ' ' || r > '~' || !inQuery && strings.ContainsRune("\"<>\\^`{|}", r) {
			_, size := utf8.DecodeRuneInString(rest[start+i:])
			return rest[start+i:][:size]
		}
	}
	return ""
}

func percentEncoded(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func (c *Client) checkHost(field, host string) error {
	addr, err := netip.ParseAddr(host)
	if isLocalhost(host) {
		addr, err = netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	switch {
	case err == nil:
		if c.guard.SafeAddr(addr) != nil {
			return boathook.InvalidField(field, "%s", notPublic(host).Reason)
		}
	case len(host) > 253 || !hostName().MatchString(host):
		return boathook.InvalidField(field, "the URL's host is not a valid name: write an international name in its xn-- form")
	case numericHost().MatchString(host):
		return boathook.InvalidField(field, "%s is neither a name nor an address in its usual form", host)
	}
	return nil
}

func isLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
