package schema

import (
	"cmp"
	"encoding/json"
	"maps"
	"math/big"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// typeNames are the types that a value may have.
type typeNames []string

func (names typeNames) include(v any) bool {
	got := typeOf(v)
	n, _ := v.(json.Number)
	return slices.Contains(names, got) || got == "number" && slices.Contains(names, "integer") && isWhole(n)
}

// String names the types in words; null comes last.
func (names typeNames) String() string {
	var words []string
	for _, name := range names {
		if name != "null" {
			words = append(words, typeWords[name])
		}
	}
	if len(words) < len(names) {
		words = append(words, "null")
	}
	return strings.Join(words, " or ")
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}

var typeWords = map[string]string{
	"object": "an object", "array": "an array", "string": "a string", "number": "a number",
	"integer": "a whole number", "boolean": "true or false", "null": "null",
}

// Numbers are compared with all their digits, so they may not have too many.
const (
	maxExponent = 999
	maxNumber   = 1000 // characters of one that is compared
)

// countable refuses a value in which there is a number that nobody can count with.
func countable(v any) error {
	switch v := v.(type) {
	case json.Number:
		if !allCountable(v) {
			return wrong("must have an exponent of at most %d", maxExponent)
		}
	case []any:
		for i, item := range v {
			if err := countable(item); err != nil {
				return within(strconv.Itoa(i), err)
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := countable(v[name]); err != nil {
				return within(name, err)
			}
		}
	}
	return nil
}

// allCountable reports whether there is no number in a value that nobody can count with.
func allCountable(v any) bool {
	switch v := v.(type) {
	case json.Number:
		_, exponent, ok := strings.Cut(strings.ToLower(v.String()), "e")
		if !ok {
			return true
		}
		e, err := strconv.Atoi(exponent)
		return err == nil && e <= maxExponent && e >= -maxExponent
	case []any:
		for _, item := range v {
			if !allCountable(item) {
				return false
			}
		}
	case map[string]any:
		for _, item := range v {
			if !allCountable(item) {
				return false
			}
		}
	}
	return true
}

func (n *node) checkNumber(v json.Number) error {
	if n.minimum == nil && n.above == nil && n.maximum == nil && n.below == nil && n.multipleOf == nil {
		if slices.Contains(n.types, "integer") && len(v) > maxNumber {
			return wrong("must have at most %d characters", maxNumber)
		}
		return nil
	}
	if len(v) > maxNumber {
		return wrong("must have at most %d characters", maxNumber)
	}
	for _, limit := range []struct {
		*bound
		allows func(order int) bool
		words  string
	}{
		{n.minimum, func(o int) bool { return o >= 0 }, "at least"},
		{n.above, func(o int) bool { return o > 0 }, "more than"},
		{n.maximum, func(o int) bool { return o <= 0 }, "at most"},
		{n.below, func(o int) bool { return o < 0 }, "less than"},
	} {
		if limit.bound != nil && !limit.allows(compare(v, limit.bound)) {
			return wrong("must be %s %s", limit.words, limit.text)
		}
	}
	if m := n.multipleOf; m != nil && !new(big.Rat).Quo(rational(v), m.value).IsInt() {
		return wrong("must be a multiple of %s", m.text)
	}
	return nil
}

// compare is the order of a number and a bound: below 0 if it is less. Few numbers are so
// long that they need all their digits for it.
func compare(n json.Number, b *bound) int {
	if b.whole && !strings.ContainsAny(n.String(), ".eE") {
		if whole, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
			return cmp.Compare(whole, b.value.Num().Int64())
		}
	}
	return rational(n).Cmp(b.value)
}

func rational(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(n.String()) // JSON's numbers are all of its syntax
	return r
}

// decimal takes a number apart: it is its digits, which neither begin nor end with a 0,
// times ten to the exponent. Of 0 there are no digits.
func decimal(n json.Number) (sign, digits string, exponent int) {
	text, power, _ := strings.Cut(strings.ToLower(n.String()), "e")
	if power != "" {
		exponent, _ = strconv.Atoi(power)
	}
	text, negative := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(text, ".")
	exponent -= len(fraction)
	digits = strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return "", "", 0
	}
	if negative {
		sign = "-"
	}
	return sign, short, exponent + len(digits) - len(short)
}

func isWhole(n json.Number) bool {
	_, _, exponent := decimal(n)
	return exponent >= 0
}

// canonical is a text that two values have if and only if they are the same.
func canonical(v any) string {
	var text strings.Builder
	writeCanonical(&text, v)
	return text.String()
}

func writeCanonical(text *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		text.WriteString(strconv.Quote(v))
	case json.Number:
		sign, digits, exponent := decimal(v)
		text.WriteString(sign + digits + "e" + strconv.Itoa(exponent))
	case []any:
		text.WriteByte('[')
		for _, item := range v {
			writeCanonical(text, item)
			text.WriteByte(',')
		}
		text.WriteByte(']')
	case map[string]any:
		text.WriteByte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			text.WriteString(strconv.Quote(name))
			text.WriteByte(':')
			writeCanonical(text, v[name])
			text.WriteByte(',')
		}
		text.WriteByte('}')
	case bool:
		text.WriteString(strconv.FormatBool(v))
	case nil:
		text.WriteString("null")
	}
}

// format is what a text may have to be.
type format struct {
	is    func(string) bool
	words string
}

var formats = map[string]format{
	"date-time": {isTime, "a time such as 2014-12-18T10:44:22+00:00"},
	"date":      {isDate, "a date such as 2014-12-18"},
	"uri":       {isURI, "a URL such as https://example.com/"},
	"email":     {isEmail, "an email address"},
	"uuid":      {isUUID, "a UUID such as 6d2a5a3e-0b52-4b0e-9a55-7a1f2f9a4f4f"},
	"ipv4":      {func(v string) bool { a, err := netip.ParseAddr(v); return err == nil && a.Is4() }, "an IPv4 address"},
	"ipv6":      {func(v string) bool { a, err := netip.ParseAddr(v); return err == nil && a.Is6() && a.Zone() == "" }, "an IPv6 address"},
}

// rfc3339 is the shape of a time, which Go's parser takes some others for.
var rfc3339 = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
})

func isTime(v string) bool {
	v = strings.ToUpper(v) // a t and a z will do
	if !rfc3339().MatchString(v) {
		return false
	}
	leap := v[17:19] == "60" // a second that Go has no time for
	if leap {
		v = v[:17] + "59" + v[19:]
	}
	t, err := time.Parse(time.RFC3339, v)
	return err == nil && (!leap || t.UTC().Format("15:04") == "23:59")
}

func isDate(v string) bool {
	_, err := time.Parse(time.DateOnly, v)
	return err == nil && len(v) == len(time.DateOnly)
}

func isURI(v string) bool {
	u, err := url.Parse(v)
	return err == nil && u.IsAbs()
}

var emailAddress, uuidText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$")
}), sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
})

// isEmail reports whether v is an address as people have it: RFC 5321's without quotes
// and address literals.
func isEmail(v string) bool {
	at := strings.LastIndexByte(v, '@')
	return at > 0 && at <= 64 && len(v) <= 254 && emailAddress().MatchString(v)
}

func isUUID(v string) bool { return uuidText().MatchString(v) }
