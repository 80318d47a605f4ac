package egress

import (
	"crypto/x509"
	"net"
	"time"
)

// Trust makes the client accept a test server's certificate.
func (c *Client) Trust(roots *x509.CertPool) {
	c.tls.RootCAs = roots
}

// Resolve makes the client ask a test's DNS.
func (c *Client) Resolve(r *net.Resolver) { c.dialer.Resolver = r }

// Age makes the connections that are kept older, and closes those that are then too
// old.
func (c *Client) Age(by time.Duration) {
	c.kept.mu.Lock()
	for _, kept := range c.kept.kept {
		kept.since = kept.since.Add(-by)
	}
	c.kept.mu.Unlock()
	c.kept.expire()
}

// MaxIdle is for how long a connection is kept.
const MaxIdle = maxIdle
