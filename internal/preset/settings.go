package preset

import (
	"slices"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// field is one of a verification's fields beside preset and secret.
type field struct {
	name  string
	value func(boathook.Verification) string
	// missing says what is to be given, where a preset needs it.
	missing string
}

// fields are all there are. Those whose names end with "header" name one.
var fields = []field{
	{"header", func(v boathook.Verification) string { return v.Header }, "the header that holds the signature"},
	{"algorithm", func(v boathook.Verification) string { return v.Algorithm }, "sha256, for one"},
	{"encoding", func(v boathook.Verification) string { return v.Encoding }, "hex or base64"},
	{"prefix", func(v boathook.Verification) string { return v.Prefix }, ""},
	{"separator", func(v boathook.Verification) string { return v.Separator }, ""},
	{"timestamp_header", func(v boathook.Verification) string { return v.TimestampHeader }, ""},
	{"delivery_header", func(v boathook.Verification) string { return v.DeliveryHeader }, ""},
	{"event_header", func(v boathook.Verification) string { return v.EventHeader }, ""},
	{"event_pointer", func(v boathook.Verification) string { return v.EventPointer }, ""},
	{"topic_arn", func(v boathook.Verification) string { return v.TopicARN }, "the topic whose messages are taken"},
}

// checkSettings holds the fields beside the preset to what it takes. It is one list of
// refusals: the first that applies is told.
func (p *Sender) checkSettings() error {
	for _, f := range fields {
		name, value := "verification."+f.name, f.value(p.settings)
		switch {
		case value == "" && slices.Contains(p.needs, f.name):
			return boathook.InvalidField(name, "is required: %s", f.missing)
		case value == "":
		case !slices.Contains(p.takes, f.name) && !slices.Contains(p.needs, f.name):
			return boathook.InvalidField(name, "is for the preset %s", strings.Join(takers(f.name), " or "))
		case strings.HasSuffix(f.name, "header") && overwritten(value):
			return boathook.InvalidField(name,
				"%q does not arrive as its sender wrote it: HTTP itself or what stands in front of Boathook sets it", value)
		}
	}
	switch v := p.settings; {
	case v.Algorithm != "" && !signature.Algorithm(v.Algorithm).Valid():
		return boathook.InvalidField("verification.algorithm", "must be %s, %s or %s",
			signature.AlgorithmSHA256, signature.AlgorithmSHA1, signature.AlgorithmSHA512)
	case v.Encoding != "" && !signature.Encoding(v.Encoding).Valid():
		return boathook.InvalidField("verification.encoding", "must be %s or %s", signature.Hex, signature.Base64)
	case v.EventPointer != "" && !boathook.IsPointer(v.EventPointer):
		return boathook.InvalidField("verification.event_pointer", "must be a JSON Pointer such as /type, of at most %d bytes", boathook.MaxPointer)
	}
	if p.check == nil {
		return nil
	}
	return p.check(p.settings)
}

// takers are the presets that take a field.
func takers(field string) (names []string) {
	for _, p := range table {
		if slices.Contains(p.takes, field) || slices.Contains(p.needs, field) {
			names = append(names, p.name)
		}
	}
	return names
}

// notTheSenders are the headers, in lower case, that do not arrive as their
// sender wrote them, and notTheSendersPrefixes how more of them begin. Those of
// one connection end with it, net/http's server takes Host away, API Gateway sets
// X-Amzn-Trace-Id and what it forwards, and package httpapi sets X-Request-Id.
var (
	notTheSenders = []string{
		"connection", "content-length", "expect", "forwarded", "host", "keep-alive", "proxy-authenticate",
		"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via", "x-request-id",
	}
	notTheSendersPrefixes = []string{"x-amzn-", "x-forwarded-"}
)

func overwritten(header string) bool {
	name := strings.ToLower(header)
	return slices.Contains(notTheSenders, name) ||
		slices.ContainsFunc(notTheSendersPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
