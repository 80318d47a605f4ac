package service

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"boathook/internal/boathook"
)

// Limits of what is set up, so that it fits the store's items.
const (
	maxHeaders   = 8 << 10  // bytes of a webhook's or target's header names and values
	maxArgv      = 16 << 10 // bytes of a command's arguments
	maxRetries   = 20
	maxRetryWait = 24 * time.Hour
	minSecret    = 24 // characters of a signing secret that the user brings
	maxSecret    = 128
)

// wanted is one of what a user gives, by the name that errors have for it.
type wanted struct {
	name  string
	given bool
}

// required refuses what lacks one of some fields: the first that is not given.
func required(fields ...wanted) error {
	for _, f := range fields {
		if !f.given {
			return boathook.InvalidField(f.name, "is required")
		}
	}
	return nil
}

// checkName refuses a name that is not what it seems to a reader: names are shown
// in lists, terminals and log lines.
func checkName(name string) error {
	if n := utf8.RuneCountInString(name); n > boathook.MaxNameLength || !strings.ContainsFunc(name, isVisible) {
		return boathook.InvalidField("name", "must have 1 to %d characters", boathook.MaxNameLength)
	}
	inFlag := false
	for _, r := range name {
		inFlag = r == blackFlag || inFlag && isTag(r)
		if !inFlag && isHidden(r) {
			return boathook.InvalidField("name", "must not have control characters or invisible ones, such as %U", r)
		}
	}
	return nil
}

// isVisible reports whether a character shows by itself.
func isVisible(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.In(r, unicode.M, unicode.Cc, unicode.Cf)
}

// isHidden reports whether a character does not show, but changes how others do
// or are read: control and format characters, which can turn the direction of a
// text, and fillers. The joiners are none, since Persian and emoji need them, nor
// are variation selectors, which are marks.
func isHidden(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	switch {
	case r == zeroWidthNonJoiner, r == zeroWidthJoiner, unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// blackFlag begins the flags of regions such as Scotland, which tags after it name
// (Unicode Technical Standard 51, emoji tag sequences).
const blackFlag = '\U0001F3F4'

func isTag(r rune) bool { return '\U000E0020' <= r && r <= '\U000E007F' }

// oneOf lists what may be given, for an error that says so.
func oneOf[T ~string](allowed []T) string {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	return strings.Join(words, ", ")
}

// checkChannels refuses what are no channels, and gives them sorted.
func checkChannels(channels []string) ([]string, error) {
	if len(channels) > boathook.MaxChannels {
		return nil, boathook.InvalidField("channels", "must have at most %d entries", boathook.MaxChannels)
	}
	channels = slices.Sorted(slices.Values(channels))
	for i, channel := range channels {
		if !boathook.IsChannel(channel) {
			return nil, boathook.InvalidField("channels", "must be words of 1 to %d of the characters A-Z, a-z, 0-9, _, -, . and :", boathook.MaxChannelLength)
		}
		if i > 0 && channels[i-1] == channel {
			return nil, boathook.InvalidField("channels", "%q is given twice", channel)
		}
	}
	return channels, nil
}

func checkEnvironment(e boathook.Environment) error {
	if !e.Valid() {
		return boathook.InvalidField("environment", "must be %s or %s", boathook.Production, boathook.Staging)
	}
	return nil
}

func checkSeconds(field string, n, least int, most time.Duration) error {
	if limit := int(most / time.Second); n < least || n > limit {
		return boathook.InvalidField(field, "must be from %d to %d", least, limit)
	}
	return nil
}

func checkArgv(argv []string) error {
	size := 0
	for _, a := range argv {
		if strings.ContainsRune(a, 0) {
			return boathook.InvalidField("argv", "must not contain the character NUL")
		}
		size += len(a)
	}
	if len(argv) == 0 || argv[0] == "" || size > maxArgv {
		return boathook.InvalidField("argv", "must begin with a program and have at most %d bytes", maxArgv)
	}
	return nil
}

// ownHeaders, and those with ownPrefixes, are set by a dialect or by HTTP
// itself.
var ownHeaders = []string{
	"connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
	"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-signature",
}

var ownPrefixes = []string{"x-crewship-", "x-shipway-", "webhook-"}

func checkHeaders(headers map[string]string) error {
	size := 0
	seen := make(map[string]bool, len(headers))
	for name, value := range headers {
		lower := strings.ToLower(name)
		hasPrefix := func(prefix string) bool { return strings.HasPrefix(lower, prefix) }
		switch {
		case !isToken(name):
			return boathook.InvalidField("headers", "%q is not a header's name", name)
		case seen[lower]:
			return boathook.InvalidField("headers", "%q is given twice: the case of names does not count", name)
		case slices.Contains(ownHeaders, lower), slices.ContainsFunc(ownPrefixes, hasPrefix):
			return boathook.InvalidField("headers", "%q is set by Boathook", name)
		case value == boathook.Mask:
			return boathook.InvalidField("headers", "the value of %q is a mask: give the value itself", name)
		case value != strings.TrimSpace(value) || strings.ContainsFunc(value, isControl):
			return boathook.InvalidField("headers", "the value of %q has control characters, or spaces around it", name)
		}
		seen[lower] = true
		size += len(name) + len(value)
	}
	if size > maxHeaders {
		return boathook.InvalidField("headers", "must have at most %d bytes in all", maxHeaders)
	}
	return nil
}

// isToken reports whether s is a token of HTTP (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

// isControl reports whether a character can't be in a header's value.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
