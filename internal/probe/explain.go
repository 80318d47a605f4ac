package probe

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"boathook/internal/diagnose"
	"boathook/internal/dialect"
	"boathook/internal/signature"
)

// deliveryHeaders have a delivery's id, which a sender repeats.
var deliveryHeaders = map[string]string{
	dialect.Crewship: dialect.CrewshipDelivery, dialect.Shipway: dialect.ShipwayDelivery, dialect.Standard: dialect.StandardID,
}

func (p *prober) deliveryHeader() string { return deliveryHeaders[p.Dialect] }

// explain says why the right delivery may have failed. A receiver that refuses it is sent
// others, to find what it takes for right.
func (p *prober) explain(ctx context.Context, a answer) (string, error) {
	switch {
	case a.trouble != "":
		return fmt.Sprintf("The receiver can't be reached, or gives no answer: %s. Start it, or mend the URL.", a.trouble), nil
	case a.in(3):
		return fmt.Sprintf("It redirects to %q. A redirect is not followed, and counts as a failure: give the URL that it leads to.", a.header.Get("Location")), nil
	case a.in(5):
		return "The receiver fails. Its log should say why.", nil
	case a.in(4) && unverified[a.status] != "":
		return unverified[a.status], nil
	}
	return p.taken(ctx, a)
}

// unverified are refusals that have nothing to do with a signature.
var unverified = map[int]string{
	http.StatusNotFound:              "There is nothing at this path. Mend the URL's path.",
	http.StatusMethodNotAllowed:      "It does not take POST at this path. Mend the URL's path, or allow POST.",
	http.StatusRequestEntityTooLarge: "It refuses a body of less than 2 KiB for its length. Allow 1 MiB.",
	http.StatusUnsupportedMediaType:  "It does not take Content-Type: application/json.",
	http.StatusTooManyRequests:       "It limits how often it is called. Wait, and probe it again.",
}

// attempt is another delivery, that a receiver with a mistake would accept.
type attempt struct {
	means string // what it means if the receiver accepts it
	send  request
}

// taken finds what the receiver accepts in place of the right delivery.
func (p *prober) taken(ctx context.Context, refusal answer) (string, error) {
	if off := p.clockOff(refusal); off != "" {
		return off, nil
	}
	attempts, err := p.attempts()
	if err != nil {
		return "", err
	}
	for _, try := range attempts {
		a, err := p.send(ctx, try.send)
		if err != nil {
			return "", err
		}
		if a.in(2) {
			return try.means, nil
		}
	}
	return fmt.Sprintf("It refuses the right delivery, and every likely variant of it. Most likely it has another secret, or wants a "+
		"token of its own (give it with --header). It must compute %s.", p.scheme.Recipe()), nil
}

// clockOff tells of a receiver whose clock is too far from here for any timestamp to be
// right. Its answer says what time it has.
func (p *prober) clockOff(a answer) string {
	at, err := http.ParseTime(a.header.Get("Date"))
	if off := at.Sub(p.Now()).Abs(); p.scheme.Timestamp == "" || err != nil || off <= signature.Tolerance {
		return ""
	}
	return fmt.Sprintf("Its clock says %s, and this machine's %s. Deliveries are good for 300 s: set the clock that is wrong.",
		at.UTC().Format(time.RFC3339), p.Now().UTC().Format(time.RFC3339))
}

// attempts are those of a mistake each.
func (p *prober) attempts() (list []attempt, err error) {
	right, err := p.request(p.draft())
	if err != nil {
		return nil, err
	}
	add := func(sum []byte, means string) {
		r := request{header: right.header.Clone(), body: right.body}
		p.setSignature(&r, p.scheme.Write(sum))
		list = append(list, attempt{means, r})
	}
	id, timestamp := right.header.Get(p.scheme.ID), right.header.Get(p.scheme.Timestamp)
	must := ". It must compute " + p.scheme.Recipe() + "."
	if p.scheme.Timestamp != "" {
		add(p.scheme.Over(diagnose.BodyAlone, p.key, "", "", right.body), "It verifies a signature over the body alone, without the timestamp"+must)
	}
	for _, key := range p.scheme.Keys(p.Secret)[1:] {
		add(p.scheme.Over(p.scheme.Signed, key.Bytes, id, timestamp, right.body),
			"It accepts a signature by "+key.Words+". Give that secret here if it is the one that was shown; else mend the receiver"+must)
	}
	r := request{header: right.header.Clone(), body: right.body}
	p.setSignature(&r, p.encodedOtherwise(p.sum(right)))
	list = append(list, attempt{"It takes the signature in another encoding" + must, r})
	return p.otherwise(list)
}

// otherwise adds the deliveries that are right by other rules: of an empty object, which
// serialises to itself, and in each other dialect.
func (p *prober) otherwise(list []attempt) ([]attempt, error) {
	d := p.draft()
	d.body = []byte("{}")
	r, err := p.request(d)
	if err != nil {
		return nil, err
	}
	list = append(list, attempt{"It accepts {}, signed in the same way: so it verifies not the bytes that arrived, but JSON that it has " +
		"parsed and serialised again. " + mendExact(p, answer{}), r})
	for _, name := range dialect.Names() {
		other, err := newProber(Config{URL: p.URL, Dialect: name, Secret: p.Secret, Now: p.Now})
		if err != nil || name == p.Dialect { // the secret is none of that dialect
			continue
		}
		r, err := other.request(other.draft())
		if err != nil {
			return nil, err
		}
		list = append(list, attempt{"It verifies the dialect " + name + ": probe it with --dialect " + name + ", or give the webhook that dialect.", r})
	}
	return list, nil
}
