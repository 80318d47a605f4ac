package boathook_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"boathook/internal/boathook"
)

// The cases are those of the recommendation and of its test suite
// (https://github.com/w3c/trace-context/blob/main/test/test.py).
func TestATraceparentIsReadAsTheRecommendationHasIt(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	const whole = "00-" + trace + "-" + span + "-01"
	for name, tc := range map[string]struct {
		given []string
		want  string
	}{
		"sampled":                   {[]string{whole}, whole},
		"not sampled":               {[]string{"00-" + trace + "-" + span + "-00"}, "00-" + trace + "-" + span + "-00"},
		"of a random trace id":      {[]string{"00-" + trace + "-" + span + "-03"}, "00-" + trace + "-" + span + "-03"},
		"flags without a meaning":   {[]string{"00-" + trace + "-" + span + "-fd"}, whole},
		"a version to come":         {[]string{"cc-" + trace + "-" + span + "-01"}, whole},
		"a version to come, longer": {[]string{"cc-" + trace + "-" + span + "-01-what-the-future-will-be-like"}, whole},
		"… without a dash":          {[]string{"cc-" + trace + "-" + span + "-01.what"}, ""},
		"version 00, longer":        {[]string{whole + "-what"}, ""},
		"version ff":                {[]string{"ff-" + trace + "-" + span + "-01"}, ""},
		"none":                      {nil, ""},
		"two":                       {[]string{whole, whole}, ""},
		"two in one":                {[]string{whole + "," + whole}, ""},
		"empty":                     {[]string{""}, ""},
		"upper case":                {[]string{strings.ToUpper(whole)}, ""},
		"a trace of zeros":          {[]string{"00-" + strings.Repeat("0", 32) + "-" + span + "-01"}, ""},
		"a parent of zeros":         {[]string{"00-" + trace + "-" + strings.Repeat("0", 16) + "-01"}, ""},
		"no hex in the trace":       {[]string{"00-" + trace[1:] + "g-" + span + "-01"}, ""},
		"no hex in the parent":      {[]string{"00-" + trace + "-" + span[1:] + "g-01"}, ""},
		"no hex in the flags":       {[]string{"00-" + trace + "-" + span + "-0x"}, ""},
		"no hex in the version":     {[]string{"0x-" + trace + "-" + span + "-01"}, ""},
		"a short trace":             {[]string{"00-" + trace[1:] + "-" + span + "-01"}, ""},
		"other dashes":              {[]string{strings.ReplaceAll(whole, "-", "_")}, ""},
		"spaces around":             {[]string{" " + whole}, ""},
		"short":                     {[]string{whole[:54]}, ""},
		"huge":                      {[]string{whole + "-" + strings.Repeat("a", 1<<20)}, ""},
	} {
		h := http.Header{"Traceparent": tc.given, "Tracestate": {"a=1"}}
		got := boathook.TraceContextOf(h)
		if got.Parent != tc.want || got.IsZero() != (tc.want == "") {
			t.Errorf("%s: got %q, want %q", name, got.Parent, tc.want)
		}
		wantState, wantID := "a=1", trace
		if tc.want == "" {
			wantState, wantID = "", ""
		}
		if got.State != wantState || got.TraceID() != wantID {
			t.Errorf("%s: the state is %q, and the trace %q", name, got.State, got.TraceID())
		}
	}
}

func TestATracestateIsPassedOnWholeOrShortened(t *testing.T) {
	member := func(key string, length int) string { return key + "=" + strings.Repeat("v", length-len(key)-1) }
	var many, tooMany []string
	for i := range 33 {
		tooMany = append(tooMany, fmt.Sprintf("k%d=1", i))
	}
	many = tooMany[:32]
	for name, tc := range map[string]struct {
		given []string
		want  string
	}{
		"one":                          {[]string{"congo=t61rcWkgMzE"}, "congo=t61rcWkgMzE"},
		"two":                          {[]string{"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
		"spaces between":               {[]string{" foo=1 \t,\t bar=2 "}, "foo=1,bar=2"},
		"several headers":              {[]string{"foo=1", "bar=2,baz=3"}, "foo=1,bar=2,baz=3"},
		"empty members":                {[]string{"foo=1,,bar=2,"}, "foo=1,bar=2"},
		"a tenant's":                   {[]string{"fw529a3039@dt=FfoxIv:a b!"}, "fw529a3039@dt=FfoxIv:a b!"},
		"none":                         {nil, ""},
		"as many as may be":            {many[:32], strings.Join(many, ",")},
		"one more":                     {tooMany, ""},
		"a key twice":                  {[]string{"foo=1,foo=2"}, ""},
		"no value":                     {[]string{"foo=1,bar="}, ""},
		"no key":                       {[]string{"=1"}, ""},
		"no sign":                      {[]string{"foo"}, ""},
		"two signs":                    {[]string{"foo=1=2"}, ""},
		"upper case":                   {[]string{"FOO=1"}, ""},
		"a space in the key":           {[]string{"foo =1"}, ""},
		"a key that is too long":       {[]string{strings.Repeat("z", 257) + "=1"}, ""},
		"a value that is too long":     {[]string{"foo=" + strings.Repeat("v", 257)}, ""},
		"a control character":          {[]string{"foo=a\x01b"}, ""},
		"what is no ASCII":             {[]string{"foo=é"}, ""},
		"512 bytes":                    {[]string{member("a", 255) + "," + member("b", 256)}, member("a", 255) + "," + member("b", 256)},
		"513 bytes, the long one goes": {[]string{member("a", 129) + "," + member("b", 128) + "," + member("c", 128) + "," + member("d", 125)}, member("b", 128) + "," + member("c", 128) + "," + member("d", 125)},
		"then those at the end": {[]string{member("a", 128) + "," + member("b", 128) + "," + member("c", 128) + "," + member("d", 126)},
			member("a", 128) + "," + member("b", 128) + "," + member("c", 128)},
		"a megabyte": {[]string{strings.Repeat(",", 1<<20)}, ""},
	} {
		got := boathook.TraceContextOf(http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "Tracestate": tc.given})
		if got.State != tc.want {
			t.Errorf("%s: got %q, want %q", name, got.State, tc.want)
		}
		if got.IsZero() || len(got.State) > boathook.MaxTraceState {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// Whatever is taken is read the same again, and has no byte that a header, a message or
// an item can't hold.
func FuzzTraceContext(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-x", " a@b=1 ,,\tc=2")
	f.Fuzz(func(t *testing.T, parent, state string) {
		got := boathook.TraceContextOf(http.Header{"Traceparent": {parent}, "Tracestate": {state}})
		headers := make(http.Header)
		for name, value := range got.Headers() {
			headers.Set(name, value)
			if !boathook.Printable(strings.ReplaceAll(value, " ", "")) {
				t.Errorf("%s: %q", name, value)
			}
		}
		if again := boathook.TraceContextOf(headers); again != got || len(got.State) > boathook.MaxTraceState {
			t.Errorf("%+v is read again as %+v", got, again)
		}
	})
}
