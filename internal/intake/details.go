package intake

import (
	"net/http"
	"net/url"
	"regexp"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

// detailsOf are what a request says beside its body. What is kept of them can't be
// mistaken for a header: it has no control characters.
func detailsOf(r request, reading preset.Reading) boathook.TriggerDetails {
	return boathook.TriggerDetails{
		Event:       detail(reading.Event),
		DeliveryID:  detail(reading.DeliveryID),
		ContentType: detail(r.Header.Get("Content-Type")),
		Query:       query(r.Request),
	}
}

func detail(text string) string {
	return boathook.Shorten(controls.ReplaceAllString(text, " "), boathook.MaxTriggerDetail)
}

var controls = regexp.MustCompile(`[[:cntrl:]]`)

// credential matches the names of what is likely a secret or a signature.
var credential = regexp.MustCompile(`(?i)token|secret|passw|passwd|pwd|auth|credential|signature|hmac|sha256|^(sig|key|code|jwt)$|[_-](sig|key)$|api[_-]?key`)

// query is a request's query without what may be a credential; empty if it is
// longer than is kept.
func query(r *http.Request) string {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return ""
	}
	for name := range values {
		if credential.MatchString(name) {
			delete(values, name)
		}
	}
	if text := values.Encode(); len(text) <= boathook.MaxTriggerQuery {
		return text
	}
	return ""
}
