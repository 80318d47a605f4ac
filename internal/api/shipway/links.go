package shipway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"boathook/internal/api/httpjson"
)

// The sizes of a page of GitHub's lists.
const (
	defaultPerPage = 30
	maxPerPage     = 100
)

func perPage(c httpjson.Call) int { return c.Clamped("per_page", 1, maxPerPage, defaultPerPage) }

// linkTo is the request's own URL with another parameter, as a Link header has it.
func linkTo(c httpjson.Call, rel, name, value string) string {
	u := url.URL{Path: c.URL.Path, RawPath: c.URL.RawPath}
	q := c.URL.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return fmt.Sprintf("<%s%s>; rel=%q", c.PublicURL(), u.String(), rel)
}

func setLinks(w http.ResponseWriter, links []string) {
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
}
