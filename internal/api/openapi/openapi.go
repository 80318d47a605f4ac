// Package openapi describes the whole API, triggers included, as OpenAPI 3.1.
// The document is written by hand. The tests of the handlers hold their answers to
// it: see openapitest.
package openapi

import _ "embed"

//go:embed openapi.json
var document []byte

// Document is the description, as JSON. It must not be changed.
func Document() []byte { return document }
