package probe

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/dialect"
)

// draft is a delivery before it is signed.
type draft struct {
	event   boathook.Event
	body    []byte // in place of the dialect's
	sentAt  time.Time
	id      boathook.DeliveryID
	secrets []string
	slowly  bool
}

// draft is that of a right delivery.
func (p *prober) draft() draft {
	now := p.Now()
	e := boathook.Event{ID: rand.Text(), Type: p.event.Name, Time: now, Data: p.event.Example}
	return draft{event: e, sentAt: now, id: boathook.NewDeliveryID(&e, "probe"), secrets: []string{p.Secret}}
}

// request renders and signs a draft.
func (p *prober) request(d draft) (r request, err error) {
	if d.body == nil {
		if d.body, err = p.dialect.Body(boathook.Raw, d.event); err != nil {
			return r, err
		}
	}
	m := dialect.Message{DeliveryID: d.id, EventType: d.event.Type, SentAt: d.sentAt, Body: d.body}
	signature, err := p.dialect.Sign(m, d.secrets...)
	if err != nil {
		return r, err
	}
	return request{header: p.dialect.Header(m, signature), body: d.body, slowly: d.slowly}, nil
}

// free puts a JSON value where the event's source may put any, such as a run's output,
// or else into a field of its own.
func (p *prober) free(d *draft, value string) {
	var example struct {
		Output json.RawMessage `json:"output"`
	}
	if json.Unmarshal(d.event.Data, &example) == nil && len(example.Output) > 0 {
		was := []byte(`"output":` + string(example.Output))
		d.event.Data = bytes.Replace(d.event.Data, was, []byte(`"output":`+value), 1)
		return
	}
	d.event.Data = withField(d.event.Data, "output", value)
}

// withField adds a field to a JSON object.
func withField(object []byte, name, value string) []byte {
	before := bytes.TrimSuffix(object, []byte("}"))
	return []byte(string(before) + `,"` + name + `":` + value + "}")
}

// padded makes the body as long as it is to be.
func (p *prober) padded(d *draft, length int) {
	p.free(d, `""`)
	body, _ := p.dialect.Body(boathook.Raw, d.event) // it fails for a right delivery first
	p.free(d, `"`+strings.Repeat("x", max(0, length-len(body)))+`"`)
}

// number is where a value begins, and its digits if it has some.
var number = regexp.MustCompile(`":\d*`)

// changeNumber changes one digit, so that the JSON stays right and as long as it was.
func changeNumber(body []byte) []byte {
	changed := bytes.Clone(body)
	for _, at := range number.FindAllIndex(body, -1) {
		if last := at[1] - 1; changed[last] >= '0' && changed[last] <= '9' {
			changed[last] = '0' + (changed[last]-'0')%9 + 1
			break
		}
	}
	return changed
}

// sum is the signature over a text of the dialect's, as bytes.
func (p *prober) sum(r request) []byte {
	return p.scheme.Over(p.scheme.Signed, p.key, r.header.Get(p.scheme.ID), r.header.Get(p.scheme.Timestamp), r.body)
}

// setSignature changes the signature alone.
func (p *prober) setSignature(r *request, text string) { r.header.Set(p.scheme.Signature, text) }

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
