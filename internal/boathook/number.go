package boathook

import (
	"strconv"
	"strings"
)

// Number is a number as JSON writes it (RFC 8259, section 6), exactly: its digits,
// times ten to the power of the exponent. Two are the same, by ==, if they have the
// same value, however they were written: 1, 1.0 and 10e-1.
type Number struct {
	Negative bool
	Digits   string // without zeros around them; empty: it is 0
	Exponent int64  // of the last digit
}

// ParseNumber reads a well-formed value of JSON. It is false for one that is no
// number, and for an exponent beyond 32 bits. Nothing is made longer than it is
// written.
func ParseNumber(text string) (n Number, ok bool) {
	text, n.Negative = strings.CutPrefix(text, "-")
	mantissa, power, scaled := strings.Cut(strings.ToLower(text), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if mantissa == "" || strings.Trim(digits, "0123456789") != "" {
		return Number{}, false
	}
	if n.Digits = strings.TrimRight(digits, "0"); n.Digits == "" {
		return Number{}, true
	}
	if scaled {
		var err error
		if n.Exponent, err = strconv.ParseInt(power, 10, 32); err != nil {
			return Number{}, false
		}
	}
	n.Exponent += int64(len(digits) - len(n.Digits) - len(fraction))
	return n, true
}

// Int64 is false for a fraction, and for what an int64 does not hold.
func (n Number) Int64() (i int64, ok bool) {
	const mostDigits = 19
	if n.Digits == "" {
		return 0, true
	}
	if n.Exponent < 0 || n.Exponent > mostDigits {
		return 0, false
	}
	text := n.Digits + strings.Repeat("0", int(n.Exponent))
	if n.Negative {
		text = "-" + text
	}
	i, err := strconv.ParseInt(text, 10, 64)
	return i, err == nil
}
