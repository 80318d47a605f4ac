package probe

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"boathook/internal/diagnose"
	"boathook/internal/signature"
)

// trial is one case: a delivery, how a correct receiver answers it, and what to do about one
// that does not.
type trial struct {
	name    string
	sent    string // what is sent
	refused bool   // a correct receiver answers 401; else 2xx

	when  func(p *prober) bool             // nil: in each dialect
	draft func(p *prober, d *draft)        // changes the delivery before it is signed; nil: it is right
	alter func(p *prober, r *request)      // changes it after
	next  func(p *prober, d draft) draft   // a second delivery, after the first; nil: none
	mild  func(a answer) bool              // a wrong answer that is only a warning; nil: none
	mend  func(p *prober, a answer) string // a is the answer that is wrong
}

// The cases that are not like the others: the one that the others need, and the one
// without a delivery of its own.
const (
	first = "delivery"
	speed = "speed"
)

// How old and how far ahead the timestamps are that must be refused: beyond the tolerance
// by enough for clocks that differ.
const (
	aside        = 2 * signature.Tolerance
	asideInWords = "ten minutes"
)

// cases are in the order in which they are sent. The first shows that the receiver accepts
// what is right: else refusing the others says nothing. The last shows that it still does.
var cases = []trial{
	{name: first, sent: "a right delivery"},

	// While a secret is rotated, the sender signs with both.
	{
		name: "rotation-first", sent: "two signatures, the first by the secret", when: rotates,
		draft: func(p *prober, d *draft) { d.secrets = append(d.secrets, p.other) }, mend: mendRotation,
	},
	{
		name: "rotation-second", sent: "two signatures, the second by the secret", when: rotates,
		draft: func(p *prober, d *draft) { d.secrets = []string{p.other, p.Secret} }, mend: mendRotation,
	},

	// Forgeries.
	{
		name: "tampered-body", sent: "a body to which a field was added after signing", refused: true, mend: mendSignature,
		alter: func(_ *prober, r *request) { r.body = withField(r.body, "tampered", "true") },
	},
	{
		name: "tampered-number", sent: "a body with one digit changed after signing", refused: true, mend: mendSignature,
		alter: func(_ *prober, r *request) { r.body = changeNumber(r.body) },
	},
	{
		name: "other-body", sent: "the signature of another body", refused: true, mend: mendSignature,
		alter: func(p *prober, r *request) {
			p.setSignature(r, p.scheme.Write(p.sum(request{header: r.header, body: []byte("{}")})))
		},
	},
	{
		name: "no-signature", sent: "no signature header", refused: true, mend: mendMissing,
		alter: func(p *prober, r *request) { r.header.Del(p.scheme.Signature) },
	},
	{
		name: "empty-signature", sent: "an empty signature header", refused: true, mend: mendMissing,
		alter: func(p *prober, r *request) { p.setSignature(r, "") },
	},
	{
		name: "truncated-signature", sent: "the first 16 characters of the signature", refused: true, mend: mendCompare,
		alter: func(p *prober, r *request) {
			p.setSignature(r, r.header.Get(p.scheme.Signature)[:len(p.scheme.Prefix)+16])
		},
	},
	{
		name: "altered-signature", sent: "the signature with its last bit changed", refused: true, mend: mendCompare,
		alter: func(p *prober, r *request) {
			sum := p.sum(*r)
			sum[len(sum)-1] ^= 1
			p.setSignature(r, p.scheme.Write(sum))
		},
	},
	{
		name: "wrong-encoding", sent: "the signature in another encoding", refused: true, mend: mendEncoding,
		alter: func(p *prober, r *request) { p.setSignature(r, p.encodedOtherwise(p.sum(*r))) },
		mild:  func(a answer) bool { return a.in(2) }, // who made it knows the secret
	},
	{
		name: "another-secret", sent: "a signature by another secret", refused: true, mend: mendSignature,
		draft: func(p *prober, d *draft) { d.secrets = []string{p.other} },
	},
	{
		name: "old-secret", sent: "a signature by the old secret alone", refused: true,
		when:  func(p *prober) bool { return p.OldSecret != "" },
		draft: func(p *prober, d *draft) { d.secrets = []string{p.OldSecret} },
		mend: func(*prober, answer) string {
			return "When a rotation is over, take the old secret out of the receiver: who has it can still forge deliveries."
		},
	},
	{
		name: "changed-id", sent: "an id that was changed after signing", refused: true, when: func(p *prober) bool { return p.scheme.ID != "" },
		alter: func(p *prober, r *request) { r.header.Set(p.scheme.ID, "another") }, mend: mendSignature,
	},

	// Replays.
	{
		name: "stale", sent: "a right signature of " + asideInWords + " ago", refused: true, when: timed, mend: mendStale,
		draft: func(_ *prober, d *draft) { d.sentAt = d.sentAt.Add(-aside) },
	},
	{
		name: "future", sent: "a right signature of " + asideInWords + " from now", refused: true, when: timed, mend: mendStale,
		draft: func(_ *prober, d *draft) { d.sentAt = d.sentAt.Add(aside) },
	},
	{
		name: "changed-timestamp", sent: "an old signature with a new timestamp", refused: true, when: timed, mend: mendSigned,
		draft: func(_ *prober, d *draft) { d.sentAt = d.sentAt.Add(-aside) },
		alter: func(p *prober, r *request) { r.header.Set(p.scheme.Timestamp, unix(p.Now())) },
	},
	{
		name: "body-only-signature", sent: "a signature over the body alone", refused: true, when: timed, mend: mendSigned,
		alter: func(p *prober, r *request) {
			p.setSignature(r, p.scheme.Write(p.scheme.Over(diagnose.BodyAlone, p.key, "", "", r.body)))
		},
	},
	{
		name: "no-timestamp", sent: "no timestamp header", refused: true, when: timed, mend: mendStale,
		alter: func(p *prober, r *request) { r.header.Del(p.scheme.Timestamp) },
	},

	// Bodies that a parser and a serialiser don't give back as they were.
	{
		name: "exact-spaces", sent: "white space and an order of keys of its own", mend: mendExact,
		draft: func(p *prober, d *draft) { p.free(d, "{ \"z\" : 1,\n\t\"b\":[ 1 , 2 ] , \"10\":{ }, \"9\":null }") },
	},
	{
		name: "exact-escapes", sent: "escapes that could be written otherwise", mend: mendExact,
		draft: func(p *prober, d *draft) { p.free(d, `{"text":"\u00e9\u003c\/\u003e\u0041 <&> \ud83d\ude42"}`) },
	},
	{
		name: "exact-numbers", sent: "numbers that could be written otherwise", mend: mendExact,
		draft: func(p *prober, d *draft) {
			p.free(d, `{"n":[1.0,1e2,-0,0.10,12345678901234567890,0.1000000000000000055511151231257827]}`)
		},
	},

	// What a sender may do.
	{
		name: "repeat", sent: "the same delivery twice", next: func(_ *prober, d draft) draft { return d }, mend: mendRepeat,
	},
	{
		name: "out-of-order", sent: "the older of two events after the newer",
		next: func(p *prober, d draft) draft {
			second := p.draft()
			second.event.Time = d.event.Time.Add(-24 * time.Hour)
			second.event.Data = []byte(dayBefore.Replace(string(second.event.Data)))
			return second
		},
		mend: func(*prober, answer) string {
			return "Deliveries are retried, so they may arrive in any order. Answer 2xx, and order by the times in the body."
		},
	},
	{
		name: "non-ascii", sent: "text in UTF-8",
		draft: func(p *prober, d *draft) {
			p.free(d, "{\"text\":\"é ß 漢字 кириллица 🙂 \u2028 \ufeff\"}")
		},
		mend: func(*prober, answer) string {
			return "The body is UTF-8. Verify its bytes, and decode them as UTF-8 only after that."
		},
	},
	{
		name: "unknown-field", sent: "a field that no document has",
		draft: func(_ *prober, d *draft) {
			d.event.Data = withField(d.event.Data, "field_of_tomorrow", `{"list":[true,null,{}]}`)
		},
		mend: func(*prober, answer) string {
			return "New fields are added without notice. Ignore those you don't know."
		},
	},
	{
		name: "unknown-event", sent: "an event that no document has",
		draft: func(_ *prober, d *draft) { d.event.Type = "event.of.tomorrow" },
		mend: func(*prober, answer) string {
			return "New events may be added. Answer 2xx to one you don't know, and do nothing: a refusal makes the sender try again."
		},
	},
	{
		name: "large", sent: "a body of 1 MiB", mend: mendLarge,
		draft: func(p *prober, d *draft) { p.padded(d, 1<<20) },
		mild:  func(a answer) bool { return a.status == http.StatusRequestEntityTooLarge },
	},
	{
		name: "lower-case-headers", sent: "header names in lower case",
		alter: func(_ *prober, r *request) { r.header = lowerCase(r.header) },
		mend: func(p *prober, _ answer) string {
			return "Header names have no case: senders and proxies write them as they like. Look up " + p.scheme.Signature + " in any case."
		},
	},
	{
		name: "slow-body", sent: "a body in pieces, over a second",
		draft: func(_ *prober, d *draft) { d.slowly = true },
		mend: func(*prober, answer) string {
			return "One read may return a part of the body. Read until Content-Length bytes are there, and wait some seconds for them."
		},
	},
	{
		name: "survival", sent: "a right delivery, after all that",
		mend: func(*prober, answer) string {
			return "It was right at first and is not now. Look in the receiver's log for what one of the deliveries before has broken."
		},
	},
}

// dayBefore changes the days of the catalogue's examples.
var dayBefore = strings.NewReplacer("2026-11-21T", "2026-11-20T", "2014-12-18T", "2014-12-17T", "177114", "177105")

func rotates(p *prober) bool { return p.dialect.MaxOverlap > 0 }
func timed(p *prober) bool   { return p.scheme.Timestamp != "" }

// encodedOtherwise writes a signature in the encoding that the dialect does not use.
func (p *prober) encodedOtherwise(sum []byte) string {
	if p.scheme.Encoding == signature.Base64 {
		return p.scheme.Prefix + hex.EncodeToString(sum)
	}
	return p.scheme.Prefix + base64.StdEncoding.EncodeToString(sum)
}

// lowerCase has the names of headers in lower case. The transport writes its own ones as
// it likes, and knows the User-Agent by its usual name only.
func lowerCase(h http.Header) http.Header {
	lower := http.Header{}
	for name, values := range h {
		if name != "User-Agent" {
			name = strings.ToLower(name)
		}
		lower[name] = values
	}
	return lower
}

// run sends the deliveries of a case, and judges the answers.
func (p *prober) run(ctx context.Context, c trial) (f Finding, err error) {
	f = Finding{Name: c.name, Sent: c.sent, Expected: "2xx", Verdict: OK}
	if c.refused {
		f.Expected = "401"
	}
	var got []string
	for _, d := range p.drafts(c) {
		a, err := p.try(ctx, c, d)
		if err != nil {
			return f, err
		}
		got = append(got, a.String())
		f.Elapsed += a.elapsed
		if f.Verdict != OK {
			continue
		}
		if f.Verdict = verdictOn(c, a); f.Verdict == OK {
			continue
		}
		f.Said = a.said
		if f.Mend, err = p.mend(ctx, c, a); err != nil {
			return f, err
		}
	}
	f.Got = strings.Join(got, ", then ")
	return f, nil
}

// drafts are the deliveries of a case.
func (p *prober) drafts(c trial) []draft {
	d := p.draft()
	if c.draft != nil {
		c.draft(p, &d)
	}
	if c.next == nil {
		return []draft{d}
	}
	return []draft{d, c.next(p, d)}
}

// try sends one delivery of a case.
func (p *prober) try(ctx context.Context, c trial, d draft) (a answer, err error) {
	r, err := p.request(d)
	if err != nil {
		return a, err
	}
	if c.alter != nil {
		c.alter(p, &r)
	}
	a, err = p.send(ctx, r)
	p.note(c.name, r, a)
	return a, err
}

// mend says what to do about a wrong answer.
func (p *prober) mend(ctx context.Context, c trial, a answer) (string, error) {
	if c.name == first {
		return p.explain(ctx, a)
	}
	if text := general(c, a); text != "" {
		return text, nil
	}
	return c.mend(p, a), nil
}

func verdictOn(c trial, a answer) Verdict {
	right := a.in(2)
	if c.refused {
		right = a.status == http.StatusUnauthorized || a.status == http.StatusBadRequest || a.status == http.StatusForbidden
	}
	switch {
	case right:
		return OK
	case c.refused && a.in(4), c.mild != nil && c.mild(a):
		return Warning
	}
	return Fault
}

// general is what to mend where it is the answer that says it, whatever the case is.
func general(c trial, a answer) string {
	switch {
	case a.in(3):
		return "A redirect is not followed, and counts as a failure. Answer at the URL itself."
	case a.status == http.StatusTooManyRequests:
		return "The receiver limits how often it is called. Raise the limit to probe it; this case shows nothing."
	case c.refused && a.status == http.StatusGone:
		return "Answer 401. After 410 a sender disables the webhook, so anybody who sends a forgery could end it."
	case c.refused && a.in(4):
		return "It is refused, but 401 says why."
	case c.refused && !a.in(2):
		return "It is not accepted, but it is not refused either: the receiver fails. Answer 401, and look for the error in its log."
	}
	return ""
}

// note remembers the slowest answer. What is sent slowly is not the receiver's doing.
func (p *prober) note(name string, r request, a answer) {
	if !r.slowly && (p.during == "" || a.elapsed > p.slowest.elapsed) {
		p.slowest, p.during = a, name
	}
}

// How long an answer may take.
const (
	slowAnswer    = 3 * time.Second
	tooSlowAnswer = 10 * time.Second
)

// speed judges the slowest answer of all.
func (p *prober) speed() Finding {
	took := p.slowest.elapsed
	f := Finding{
		Name: speed, Sent: "nothing more: this is the slowest answer", Expected: "within " + slowAnswer.String(),
		Got: fmt.Sprintf("%s (%s)", short(took), p.during), Elapsed: took, Verdict: OK,
	}
	switch {
	case took >= tooSlowAnswer:
		f.Verdict = Fault
	case took > slowAnswer:
		f.Verdict = Warning
	default:
		return f
	}
	f.Mend = "Store the delivery, answer 2xx, and do the work after that. Boathook waits 30 s by default, others 5 or 10, and slow answers hold up other deliveries."
	return f
}
