package egress

import (
	"crypto/x509"
	"net"
)

// Trust makes the client accept a test server's certificate.
func (c *Client) Trust(roots *x509.CertPool) {
	c.kept.TLSClientConfig.RootCAs = roots
	c.fresh.TLSClientConfig.RootCAs = roots
}

// Resolve makes the client ask a test's DNS.
func (c *Client) Resolve(r *net.Resolver) { c.dialer.Resolver = r }
