package boathook

// Mask is shown for what may be a credential.
const Mask = "********"

// Masked has the names of headers, and a mask for each value.
func Masked(headers map[string]string) map[string]string {
	if headers == nil {
		return nil
	}
	m := make(map[string]string, len(headers))
	for name := range headers {
		m[name] = Mask
	}
	return m
}

// ShownHeaders are a webhook's headers as they are shown: their names, each with a
// mask for its value.
func ShownHeaders(w OutgoingWebhook) map[string]string {
	headers := make(map[string]string, len(w.HeaderNames))
	for _, name := range w.HeaderNames {
		headers[name] = Mask
	}
	return headers
}
