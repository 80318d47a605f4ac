package preset

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// CloudEvents is the name of a preset.
const CloudEvents = "cloudevents"

// cloudEvents is CloudEvents over HTTP (CloudEvents 1.0.2, "HTTP Protocol Binding";
// "HTTP 1.1 Web Hooks for Event Delivery"). Of an event in binary mode, whose
// attributes are headers, the input is the same as if it had come in structured
// mode. The secret, if there is one, is the bearer token, in the header or the query.
var cloudEvents = preset{
	name: CloudEvents, secret: maySecret,
	options: allowOrigin,
	verify:  verifyAccessToken,
	input:   structured,
	events:  oneOf(inInput("/type"), inInput("/0/type")),
	id: func(m *message) string {
		id, source := m.at("/id"), m.at("/source")
		if id == "" {
			return ""
		}
		return source + "#" + id // an id is unique within its source
	},
}

func verifyAccessToken(m *message, body []byte) error {
	if text := m.Query.Get("access_token"); text != "" && m.Secret != "" {
		if !signature.EqualText(text, m.Secret) {
			return unproven(errors.New("access_token is not the webhook's secret"))
		}
		return nil
	}
	return verifyToken(m, body)
}

// attributePrefix begins the headers of an event in binary mode.
const attributePrefix = "Ce-"

// structured makes an event in structured mode of one in binary mode; false for what
// is no event in binary mode.
func structured(m *message) (input []byte, ok bool, err error) {
	mediaType, _, _ := mime.ParseMediaType(m.header("Content-Type"))
	if m.header("Ce-Specversion") == "" || strings.HasPrefix(mediaType, "application/cloudevents") {
		return nil, false, nil
	}
	event := make(map[string]any)
	for name := range m.Header {
		attribute, found := strings.CutPrefix(http.CanonicalHeaderKey(name), attributePrefix)
		if !found {
			continue
		}
		// Values are percent-encoded (HTTP Protocol Binding, section 3.1.3.2).
		value, err := url.PathUnescape(m.header(name))
		if err != nil || !utf8.ValidString(value) {
			value = m.header(name)
		}
		event[strings.ToLower(attribute)] = strings.ToValidUTF8(value, "\ufffd")
	}
	if text := m.header("Content-Type"); text != "" {
		event["datacontenttype"] = text
	}
	switch data := m.input; {
	case len(data) == 0:
	case mediaType == "" || mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		if err := boathook.CheckJSON(data); err != nil {
			return nil, true, err
		}
		event["data"] = json.RawMessage(data)
	case utf8.Valid(data):
		event["data"] = string(data)
	default:
		event["data_base64"] = base64.StdEncoding.EncodeToString(data)
	}
	input, err = boathook.EncodeJSON(event)
	return input, true, err
}
