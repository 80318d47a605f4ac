package diagnose_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/diagnose"
	"boathook/internal/dialect"
)

const secret = "whsec_VGhlIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGU="

var at = time.Unix(1795287600, 0)

// sum is an HMAC by the standard library.
func sum(h func() hash.Hash, key, text string) []byte {
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hex256(key, text string) string { return hex.EncodeToString(sum(sha256.New, key, text)) }

func b64(key, text string) string {
	return base64.StdEncoding.EncodeToString(sum(sha256.New, key, text))
}

// header is one of names and values.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for pair := range slices.Chunk(pairs, 2) {
		h.Set(pair[0], pair[1])
	}
	return h
}

func kinds(v diagnose.Verdict) (list []diagnose.Kind) {
	for _, p := range v.Problems {
		list = append(list, p.Kind)
	}
	return list
}

// What each dialect sends is right, and is told by its headers.
func TestWhatBoathookSendsIsRight(t *testing.T) {
	for _, name := range dialect.Names() {
		d, _ := dialect.Lookup(name)
		e := boathook.Event{ID: "evt_1", Type: "run.succeeded", Time: at, Data: []byte(`{"text":"é","n":1.0}`)}
		body, err := d.Body(boathook.Raw, e)
		if err != nil {
			t.Fatal(err)
		}
		m := dialect.Message{DeliveryID: boathook.NewDeliveryID(&e, "out_1"), EventType: e.Type, SentAt: at, Body: body}
		signed, err := d.Sign(m, secret)
		if err != nil {
			t.Fatal(err)
		}
		v, err := diagnose.Examine(diagnose.Request{Header: d.Header(m, signed), Body: body, Secret: secret, At: at.Add(5 * time.Minute)})
		if want := (diagnose.Verdict{Dialect: name, Guessed: true, Right: true, Problems: []diagnose.Problem{}}); err != nil || !cmp.Equal(v, want) {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
	}
}

// TestEachMistakeIsNamed has what goes wrong between a signer and a verifier. hint is in
// the words that are said of it.
func TestEachMistakeIsNamed(t *testing.T) {
	const (
		body = `{"event":"run.succeeded","run_id":"run_1"}`
		now  = "1795287600"
		zero = "0000000000000000000000000000000000000000000000000000000000000000"
	)
	crewship := func(signature string) http.Header {
		return header("X-Crewship-Timestamp", now, "X-Crewship-Signature", signature)
	}
	timed := func(shift time.Duration) http.Header {
		text := strconv.FormatInt(at.Add(shift).Unix(), 10)
		return header("X-Crewship-Timestamp", text, "X-Crewship-Signature", hex256(secret, text+"."+body))
	}
	right := hex256(secret, now+"."+body)
	decoded, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	standard := func(signature string) http.Header {
		return header("webhook-id", "1", "webhook-timestamp", now, "webhook-signature", signature)
	}
	list := func(kinds ...diagnose.Kind) []diagnose.Kind { return kinds }
	for _, tc := range []struct {
		name   string
		header http.Header
		secret string // empty: the tests'
		want   []diagnose.Kind
		hint   string
	}{
		{"right", crewship(right), "", list(), ""},
		{"the second of two", crewship(zero + "," + right), "", list(), ""},
		{"just in time", timed(-5 * time.Minute), "", list(), ""},
		{"too old", timed(-400 * time.Second), "", list(diagnose.Stale), "X-Crewship-Timestamp is 1795287200 (2026-11-21T18:53:20Z): 6m40s old"},
		{"long ago", timed(-72 * time.Hour), "", list(diagnose.Stale), "3 days old"},
		{"in the future", timed(301 * time.Second), "", list(diagnose.Future), "5m1s in the future"},
		{"in milliseconds", header("X-Crewship-Timestamp", now+"000", "X-Crewship-Signature", hex256(secret, now+"000."+body)), "", list(diagnose.Timestamp), "milliseconds"},
		{"a date", header("X-Crewship-Timestamp", "2026-11-21", "X-Crewship-Signature", hex256(secret, "2026-11-21."+body)), "", list(diagnose.Timestamp), `"2026-11-21". It must be Unix seconds`},
		{"no signature", header("X-Crewship-Timestamp", now), "", list(diagnose.Missing), "X-Crewship-Signature is missing"},
		{"no timestamp", header("X-Crewship-Signature", hex256(secret, body)), "", list(diagnose.Missing, diagnose.Signed), "is over body. It must be over timestamp"},
		{"no header", header("X-Hub-Signature-256", "sha256="+right), "", list(diagnose.Missing), "X-Shipway-Signature (shipway)"},
		{"no id", header("webhook-timestamp", now, "webhook-signature", "v1,"+b64(string(decoded), "1."+now+"."+body)), "", list(diagnose.Missing, diagnose.Mismatch), "Webhook-Id is missing"},
		{"base64 for hex", crewship(b64(secret, now+"."+body)), "", list(diagnose.Encoding), "written in base64. It must be in lower-case hex"},
		{"upper case", crewship(strings.ToUpper(right)), "", list(diagnose.Encoding), "upper-case hex"},
		{"hex for base64", standard("v1," + hex256(string(decoded), "1."+now+"."+body)), "", list(diagnose.Encoding), "must be in base64"},
		{"URL-safe base64", standard("v1," + strings.TrimRight(b64(string(decoded), "1."+now+"."+body), "=")), "", list(diagnose.Encoding), "without its padding"},
		{"no prefix", header("X-Shipway-Signature", hex.EncodeToString(sum(sha1.New, secret, body))), "", list(diagnose.Prefix), `"sha1=" is missing`},
		{"no version", standard(b64(string(decoded), "1."+now+"."+body)), "", list(diagnose.Prefix), `"v1," is missing`},
		{"a prefix too many", header("X-Signature", "sha256="+hex256(secret, body)), "", list(diagnose.Prefix), `"sha256=" does not belong`},
		{"another prefix", header("X-Shipway-Signature", "sha256="+hex.EncodeToString(sum(sha1.New, secret, body))), "", list(diagnose.Prefix), `"sha256=". It must be "sha1="`},
		{"another hash", header("X-Shipway-Signature", "sha1="+hex256(secret, body)), "", list(diagnose.Algorithm), "HMAC-SHA-256, by its length"},
		{"spaces around", crewship(" " + right + "\t"), "", list(diagnose.Encoding), "White space"},
		{"no signature at all", crewship("unsigned"), "", list(diagnose.Form), `"unsigned", which is no signature. It must be <64 lower-case hex digits>`},
		{"cut short", crewship(right[:40]), "", list(diagnose.Algorithm, diagnose.Mismatch), "HMAC-SHA-1, by its length"},
		{"cut to nothing known", crewship(right[:42]), "", list(diagnose.Form), "no signature"},
		{"without the timestamp", crewship(hex256(secret, body)), "", list(diagnose.Signed), "over body."},
		{"with a colon", crewship(hex256(secret, now+":"+body)), "", list(diagnose.Signed), `timestamp + ":" + body`},
		{"white space around the secret", crewship(right), " " + secret + "\n", list(diagnose.Secret), "without the white space"},
		{"white space around a standard secret", standard("v1," + b64(string(decoded), "1."+now+"."+body)), " " + secret, list(diagnose.Secret), "the secret without the white space"},
		{"a secret with its line feed", crewship(hex256(secret+"\n", now+"."+body)), "", list(diagnose.Secret), "a line feed after it"},
		{"a secret that was decoded", crewship(hex256(string(decoded), now+"."+body)), "", list(diagnose.Secret), "decoded from base64"},
		{"a secret that was not decoded", standard("v1," + b64(secret, "1."+now+"."+body)), "", list(diagnose.Secret), "text, not decoded from base64"},
		{"a secret without whsec_", crewship(hex256(strings.TrimPrefix(secret, "whsec_"), now+"."+body)), "", list(diagnose.Secret), "without whsec_"},
		{"a secret that lost whsec_", crewship(right), strings.TrimPrefix(secret, "whsec_"), list(diagnose.Secret), "with whsec_ before it"},
		{"a secret in quotes", crewship(right), `"` + secret + `"`, list(diagnose.Secret), "quotes"},
		{"no standard secret", standard("v1," + b64("short", "1."+now+"."+body)), "hunter2", list(diagnose.Secret, diagnose.Mismatch), "The secret must be whsec_ and the base64"},
		{"two mistakes", crewship(b64(strings.TrimPrefix(secret, "whsec_"), body)), "", list(diagnose.Encoding, diagnose.Signed, diagnose.Secret), "without whsec_"},
		{"another secret", crewship(right), "whsec_other", list(diagnose.Mismatch), "another secret or over another body"},
		{"old and of another secret", timed(-time.Hour), "whsec_other", list(diagnose.Stale, diagnose.Mismatch), "1h old"},
		{"an agent's", header("X-Signature", hex256(secret, now+"."+body), "X-Timestamp", now), "", list(), ""},
		{"an agent's, stale", header("X-Signature", hex256(secret, "1."+body), "X-Timestamp", "1"), "", list(diagnose.Stale), "X-Timestamp is 1"},
		{"an agent's, of the body", header("X-Signature", hex256(secret, body), "X-Timestamp", now), "", list(diagnose.Signed), "over body."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key := tc.secret
			if key == "" {
				key = secret
			}
			v, err := diagnose.Examine(diagnose.Request{Header: tc.header, Body: []byte(body), Secret: key, At: at})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, kinds(v)); diff != "" || v.Right != (len(tc.want) == 0) {
				t.Errorf("(-want +got):\n%s%+v", diff, v.Problems)
			}
			said := ""
			for _, p := range v.Problems {
				said += p.Text + "\n"
			}
			if !strings.Contains(said, tc.hint) || strings.Contains(said, strings.TrimSpace(key)) {
				t.Errorf("want %q, and never the secret, in\n%s", tc.hint, said)
			}
		})
	}
}

// TestEachChangeOfABodyIsNamed has a body as it was signed, and what reached the
// verification of it.
func TestEachChangeOfABodyIsNamed(t *testing.T) {
	example, _ := catalogue.Lookup(boathook.Repository, boathook.EventBuildFinish)
	sent := `{"event":"run.succeeded","run_id":"run_1","input":{"é":"</a> 漢🙂\u2028"},"error_message":null,"n":1.0}`
	sent = strings.ReplaceAll(sent, `\u2028`, "\u2028")
	for _, tc := range []struct{ name, signed, received, hint string }{
		{"a line feed too many", sent, sent + "\n", "without the line ending at its end"},
		{"two line endings too many", sent, sent + "\r\n\n", "without the line ending at its end"},
		{"a line feed too few", sent + "\n", sent, "with a line feed at its end"},
		{"CRLF for LF", "{\n\"a\":\n1}", "{\r\n\"a\":\r\n1}", "with LF for each CRLF"},
		{"LF for CRLF", "{\r\n\"a\":\r\n1}", "{\n\"a\":\n1}", "with CRLF for each LF"},
		{"a byte order mark", sent, "\ufeff" + sent, "without the byte order mark"},
		{"read as Latin-1", `{"é":"ü"}`, `{"Ã©":"Ã¼"}`, "Latin-1"},
		{"no body", "", sent, "that is empty"},
		{"spaces added", sent, strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(sent), "without white space"},
		{"spaces taken", strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(sent), sent, "with a space after each colon and comma"},
		{"indentation taken", "{\n  \"a\": [\n    1,\n    {}\n  ]\n}", `{"a":[1,{}]}`, "indented by two spaces"},
		{"escapes added", `{"a":"é/🙂"}`, `{"a":"\u00e9\/\ud83d\ude42"}`, "with characters as they are"},
		{"escapes taken", `{"a":"\u00e9/\ud83d\ude42"}`, `{"a":"é/🙂"}`, `escaped (\u00e9)`},
		{"slashes unescaped", `{"a":"\u00e9\/"}`, `{"a":"é/"}`, `slashes`},
		{"HTML unescaped", `{"a":"\u003cb\u003e\u2028"}`, `{"a":"<b>` + "\u2028" + `"}`, `\u003c`},
		{"keys unsorted", `{"a":1,"b":{"c":2,"d":[3]}}`, `{"b":{"d":[3],"c":2},"a":1}`, "in the alphabet's order"},
		{"keys sorted", string(example.Example), string(alphabetical(t, example.Example)), "in the order of Boathook's document"},
		{"all at once", `{"a":"é","b":2}`, `{ "b":2, "a":"\u00e9" }`, "without white space, with characters as they are that need no escape (é, /), with its keys in the alphabet's order"},
	} {
		h := header("X-Signature", hex256(secret, tc.signed))
		v, err := diagnose.Examine(diagnose.Request{Header: h, Body: []byte(tc.received), Secret: secret, At: at})
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Problems) != 1 || v.Problems[0].Kind != diagnose.Body || !strings.Contains(v.Problems[0].Text, tc.hint) {
			t.Errorf("%s: got %+v, want %q", tc.name, v.Problems, tc.hint)
		}
	}
}

func TestWhatCannotBeAsked(t *testing.T) {
	for _, tc := range []struct {
		request diagnose.Request
		want    string
	}{
		{diagnose.Request{Header: header("X-Signature", "0")}, "the secret is empty"},
		{diagnose.Request{Header: header("X-Signature", "0"), Secret: "s", Dialect: "github"}, "expected one of agent, capawesome, crewship, shipway, standard"},
	} {
		if _, err := diagnose.Examine(tc.request); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

// A dialect that was named and is not the headers' is told from one whose header is lost.
func TestHeadersOfAnotherDialect(t *testing.T) {
	r := diagnose.Request{Dialect: "crewship", Header: header("X-Shipway-Signature", "sha1=00"), Secret: secret, At: at}
	v, err := diagnose.Examine(r)
	want := []diagnose.Kind{diagnose.Missing, diagnose.Missing, diagnose.Dialect}
	if err != nil || !slices.Equal(kinds(v), want) || !strings.Contains(v.Problems[2].Text, "shipway") {
		t.Errorf("got %+v, %v", v, err)
	}
}

// Whatever is received, there is a verdict; and what is not signed by the secret is not
// right.
func FuzzExamine(f *testing.F) {
	f.Add("X-Crewship-Signature", "v1,=", "17952876000000000000000", []byte("\xff{"), "whsec_\x00")
	f.Add("Webhook-Signature", "v1, v1,", "1", []byte(`{"a":{"a":[{}]},"a":"\ud800"}`), "whsec_")
	f.Add("X-Signature", "'0'", "-1", []byte(strings.Repeat("[", 600)), " ")
	f.Fuzz(func(t *testing.T, name, signature, timestamp string, body []byte, key string) {
		h := header(name, signature, "X-Crewship-Timestamp", timestamp, "X-Timestamp", timestamp, "Webhook-Timestamp", timestamp)
		v, err := diagnose.Examine(diagnose.Request{Header: h, Body: body, Secret: key, At: at})
		if (err != nil) != (key == "") {
			t.Fatalf("%q: %v", key, err)
		}
		if v.Right != (err == nil && len(v.Problems) == 0) {
			t.Errorf("right: %v, with %v", v.Right, v.Problems)
		}
	})
}

// alphabetical serialises JSON again, as a map does.
func alphabetical(t *testing.T, text []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return again
}
