// Package allow is the part of functions' configurations that says what the
// stack's operator allows. It stands apart from boot, since not every function
// sends requests or executes runs.
package allow

import (
	"net/netip"

	"boathook/internal/egress"
)

// Egress is the part of a configuration that says which requests may leave,
// besides https to public addresses.
type Egress struct {
	AllowedPrefixes []netip.Prefix `env:"BOATHOOK_ALLOWED_EGRESS,required"`
	AllowHTTP       bool           `env:"BOATHOOK_ALLOW_HTTP,required"`
}

// Client is the guarded client.
func (e Egress) Client() *egress.Client { return egress.New(e.Guard()) }

// Guard is the configuration's part of the guarded client's.
func (e Egress) Guard() egress.Config {
	return egress.Config{AllowPrefixes: e.AllowedPrefixes, AllowHTTP: e.AllowHTTP}
}
