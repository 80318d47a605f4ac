// Package preset knows the senders of incoming webhooks: how each signs its
// requests, where it names the event and its own id of the delivery, what it asks
// before it sends anything, and what it wants to be told. It is to what comes in
// what package dialect is to what goes out.
//
// A preset is one file, which says where its facts come from, and one row of
// [table]. The fields of [preset] are all that a preset can say.
package preset

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// table has the presets, in the order in which they are listed.
var table = []preset{
	none, hmacPreset, token, github, gitlab, bitbucket, stripe, slack, shopify, standard, grafana, pagerDuty, linear,
	twilio, sendGrid, discord, zoom, azureEventGrid, msGraph, awsSNS, cloudEvents,
}

// Presets are the names that [boathook.Verification] takes.
var Presets = func() (names []string) {
	for _, p := range table {
		names = append(names, p.name)
	}
	return names
}()

// preset is how one kind of sender's requests are read. Functions are nil where
// there is nothing to say.
type preset struct {
	name string

	// Of the verification's fields beside preset and secret, those that it takes,
	// and those that it needs of them.
	takes, needs []string
	// check says what is wrong with the fields that were given. [boathook.Invalid].
	check func(boathook.Verification) error

	secret need
	// checkSecret says what a secret must be, if it is none.
	checkSecret func(string) error

	// options are headers of the answer to an OPTIONS request.
	options func(http.Header) map[string]string
	// greet answers a request that asks whether somebody is there, and proves
	// nothing: what it says must be of use to nobody.
	greet func(*message) *Answer
	// verify tells whether a body was sent by one who knows the secret. The error
	// says, in words for the user, what the sender must mend; neither the secret
	// nor the right signature is in it.
	verify func(m *message, body []byte) error
	// alsoSigned is what the signature may be over in place of the body.
	alsoSigned func(*message) []byte

	form form
	// input makes the run's input of what is not JSON, or not all of it. It is
	// called before form is looked at; false: the body is the input.
	input func(*message) (input []byte, ok bool, err error)

	// events are the names of what happened, the one that is shown first. A filter
	// may name any.
	events func(*message) []string
	// id is the sender's own id of the delivery, the same when it is repeated.
	id func(*message) string
	// idSigned: the signature covers the id, so that who has captured a request
	// can't change it.
	idSigned bool
	// key identifies the delivery in place of its id. The signature covers it.
	key func(*message) string

	// handshake answers a request that is verified and starts no run.
	handshake func(*message) (*Answer, error)
	// accepted is the answer to a request that started a run, of a sender that
	// takes no other for a good one.
	accepted func(*message) *Answer

	// rerun: a repeat of a delivery whose run failed is asked for by a person, who
	// wants it to run again.
	rerun bool
}

// need is whether a preset has a secret.
type need int

const (
	noSecret  need = iota
	hasSecret      // it must be given
	maySecret      // without one, the token in the URL is all
)

// form is how a form (application/x-www-form-urlencoded) becomes JSON.
type form int

const (
	noForm     form = iota // its text is taken as JSON: curl sends JSON so
	payloadIn              // its field payload is the JSON
	fieldsOf               // its fields are an object
	eitherForm             // its field payload, or its fields if it has no such
)

// Sender reads one kind of sender's requests. Make it with [New].
type Sender struct {
	preset
	settings boathook.Verification
}

// New makes the sender that a webhook's verification names. The error is
// [boathook.Invalid], about one of the fields of "verification".
func New(v boathook.Verification) (*Sender, error) {
	name := v.Preset
	if name == "" {
		name = none.name
	}
	i := slices.IndexFunc(table, func(p preset) bool { return p.name == name })
	if i < 0 {
		return nil, boathook.InvalidField("verification.preset", "must be one of %s", strings.Join(Presets, ", "))
	}
	p := &Sender{table[i], v}
	return p, p.checkSettings()
}

// TakesSecret reports whether the sender's requests can prove themselves by a
// secret, and whether they must.
func (p *Sender) TakesSecret() (can, must bool) { return p.secret != noSecret, p.secret == hasSecret }

// Verifies reports whether a secret is needed to read a request.
func (p *Sender) Verifies() bool {
	return p.secret == hasSecret || p.secret == maySecret && len(p.settings.SealedSecret) > 0
}

// CheckSecret says what a secret must be for this sender, if it is not.
func (p *Sender) CheckSecret(secret string) error {
	if p.checkSecret == nil {
		return nil
	}
	return p.checkSecret(secret)
}

// RerunsFailed reports whether a repeated delivery of a run that failed or was
// canceled starts another: as the webhook says, or else as its preset has it.
func RerunsFailed(w boathook.IncomingWebhook) bool {
	if w.RerunFailed != nil {
		return *w.RerunFailed
	}
	p, err := New(w.Verification)
	return err == nil && p.rerun
}

// Options are the headers of the answer to an OPTIONS request, by which some senders
// ask for leave.
func (p *Sender) Options(h http.Header) map[string]string {
	if p.options == nil {
		return nil
	}
	return p.options(h)
}

// Name is the preset's.
func (p *Sender) Name() string { return p.name }

// Request is a trigger as it came.
type Request struct {
	URLs   []string // that its sender may have sent it to; several where a proxy hides which
	Header http.Header
	Query  url.Values
	Wire   []byte // the body as it came
	Body   []byte // the body without its Content-Encoding; the same as Wire without one
	Secret string // of the webhook; empty if it has none
	At     time.Time

	// Fetch gets what a URL of the sender's holds, which its preset has checked to
	// be one. What it answers may be kept.
	Fetch func(url string) ([]byte, error)
}

// Reading is what a request says.
type Reading struct {
	Input    []byte             // JSON, checked
	Document *boathook.Document // the input, for what looks values up in it; nil in a handshake

	Event      string   // what happened; empty if the request names nothing
	Names      []string // all names of it
	DeliveryID string   // the sender's own; empty if it has none
	// Key is the same when the delivery is repeated, and another otherwise; empty
	// if nothing tells. KeySigned: nobody but the sender can change it.
	Key       string
	KeySigned bool

	Handshake *Answer // not nil: the request starts no run, this is its answer
	Accepted  *Answer // the answer when a run was started; nil: the usual one
}

// Answer is an HTTP response.
type Answer struct {
	Status      int
	ContentType string // empty without a body
	Header      map[string]string
	Body        []byte
}

// Read verifies and reads a request. The errors are [boathook.Unauthorized] where
// it does not prove itself and [boathook.Invalid] where it can't be read; any other
// is a failure of what it was to fetch.
func (p *Sender) Read(r Request) (Reading, error) {
	m := &message{Request: r, settings: p.settings}
	if p.greet != nil {
		if answer := p.greet(m); answer != nil {
			return Reading{Handshake: answer}, nil
		}
	}
	if err := p.prove(m); err != nil {
		return Reading{}, err
	}
	if err := p.readInput(m); err != nil {
		return Reading{}, err
	}
	if p.handshake != nil {
		if answer, err := p.handshake(m); answer != nil || err != nil {
			return Reading{Handshake: answer}, err
		}
	}
	reading := Reading{Input: m.input, Document: m.document(m.input)}
	if p.events != nil {
		reading.Names = slices.DeleteFunc(p.events(m), func(name string) bool { return name == "" })
	}
	if len(reading.Names) > 0 {
		reading.Event = reading.Names[0]
	}
	if p.id != nil {
		reading.DeliveryID = p.id(m)
	}
	reading.Key, reading.KeySigned = reading.DeliveryID, p.idSigned
	if p.key != nil {
		reading.Key, reading.KeySigned = p.key(m), true
	}
	if p.accepted != nil {
		reading.Accepted = p.accepted(m)
	}
	return reading, nil
}

// prove verifies the request. Its signature is over the body as it came or, of a
// sender that compresses after it has signed, over what that holds.
func (p *Sender) prove(m *message) error {
	if p.verify == nil || p.secret == maySecret && !p.Verifies() {
		return nil
	}
	bodies := [][]byte{m.Wire}
	if len(m.Header.Values("Content-Encoding")) > 0 {
		bodies = append(bodies, m.Body)
	}
	if p.alsoSigned != nil {
		bodies = append(bodies, p.alsoSigned(m))
	}
	var first error
	for _, body := range bodies {
		err := p.verify(m, body)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// message is a request that is being read.
type message struct {
	Request
	settings boathook.Verification
	input    []byte // once it is known

	last *boathook.Document // see document
}

// document is a text's: the last one asked for is kept, since most of what is asked is
// about one text, the input.
func (m *message) document(text []byte) *boathook.Document {
	if m.last == nil || !bytes.Equal(m.last.Text, text) {
		m.last = &boathook.Document{Text: text}
	}
	return m.last
}

// header is a header's value.
func (m *message) header(name string) string { return m.Header.Get(name) }

// at is the text at a JSON Pointer of the input; empty if no text is there.
func (m *message) at(pointer string) string {
	value, _ := m.document(m.input).ValueAt(pointer)
	text, _ := value.(string)
	return text
}

// ofBody is the text at a JSON Pointer of the body, for what is asked before the
// input is known.
func (m *message) ofBody(pointer string) string {
	value, _ := m.document(m.Body).ValueAt(pointer)
	text, _ := value.(string)
	return text
}

// verifiedBy makes a preset's verify of a signature that is over the body alone.
func verifiedBy(v signature.Verifier) func(*message, []byte) error {
	return func(m *message, body []byte) error {
		if err := v(m.Header, body, m.Secret, m.At); err != nil {
			return unproven(err)
		}
		return nil
	}
}

// unproven is the refusal of a request for a reason.
func unproven(reason error) error { return boathook.Errorf(boathook.Unauthorized, "%s", reason) }

// inHeader and inInput say where a text stands.
func inHeader(name string) func(*message) string {
	return func(m *message) string { return m.header(name) }
}

func inInput(pointer string) func(*message) string {
	return func(m *message) string { return m.at(pointer) }
}

// oneOf are the texts of several places.
func oneOf(places ...func(*message) string) func(*message) []string {
	return func(m *message) (texts []string) {
		for _, place := range places {
			texts = append(texts, place(m))
		}
		return texts
	}
}

// withAction are the names of an event that is of a kind, whose input says what was
// done in its field action: "issues.opened" and "issues".
func withAction(m *message, kind func(*message) string) []string {
	event := kind(m)
	if action := m.at("/action"); event != "" && action != "" {
		return []string{event + "." + action, event}
	}
	return []string{event}
}

// answerText is a 200 with a plain text, which may be empty.
func answerText(text string) *Answer {
	return &Answer{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte(text)}
}

// firstOf is the first text that is there.
func firstOf(places ...func(*message) string) func(*message) string {
	return func(m *message) string {
		for _, place := range places {
			if text := place(m); text != "" {
				return text
			}
		}
		return ""
	}
}

// answerJSON is a 200 with a JSON object of texts and numbers.
func answerJSON(fields map[string]any) *Answer {
	body, err := boathook.EncodeJSON(fields)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return &Answer{Status: http.StatusOK, ContentType: "application/json", Body: body}
}
