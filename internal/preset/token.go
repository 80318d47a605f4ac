package preset

import (
	"encoding/base64"
	"errors"
	"strings"

	"boathook/internal/signature"
)

// Token is the name of a preset.
const Token = "token"

// token is a header that is the secret, for senders that sign nothing. In
// Authorization it stands as a bearer token (RFC 6750, section 2.1), or as the
// password or the "user:password" of basic authentication (RFC 7617).
var token = preset{
	name: Token, secret: hasSecret, form: eitherForm,
	takes:  []string{"header", "delivery_header", "event_header", "event_pointer"},
	verify: verifyToken,
	events: eventAsDescribed,
	id:     idAsDescribed,
}

const authorization = "Authorization"

func verifyToken(m *message, _ []byte) error {
	name := m.settings.Header
	if name == "" {
		name = authorization
	}
	value, err := signature.Required(m.Header, name)
	if err != nil {
		return unproven(err)
	}
	if m.Secret == "" {
		return unproven(signature.ErrNoSecret)
	}
	for _, text := range credentials(name, value) {
		if signature.EqualText(text, m.Secret) {
			return nil
		}
	}
	return unproven(errors.New(name + " is not the webhook's secret"))
}

// credentials are the texts that a header may mean to be the secret.
func credentials(name, value string) []string {
	texts := []string{value}
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(name, authorization) {
		return texts
	}
	switch strings.ToLower(scheme) {
	case "bearer":
		texts = append(texts, strings.TrimSpace(rest))
	case "basic":
		if pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil {
			_, password, _ := strings.Cut(string(pair), ":")
			texts = append(texts, string(pair), password)
		}
	}
	return texts
}
