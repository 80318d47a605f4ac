package dialect

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/signature"
)

// Crewship is the dialect of Crewship's deployments (wire formats, section 1).
const Crewship = "crewship"

// Crewship's headers.
const (
	CrewshipEvent     = "X-Crewship-Event"
	CrewshipDelivery  = "X-Crewship-Delivery"
	CrewshipTimestamp = "X-Crewship-Timestamp"
	CrewshipSignature = "X-Crewship-Signature"
)

var crewship = Dialect{
	Name:       Crewship,
	MaxOverlap: 7 * 24 * time.Hour,

	// The event's data, which is an object, with the event's name before it.
	body: func(e boathook.Event) ([]byte, error) {
		rest, ok := bytes.CutPrefix(e.Data, []byte("{"))
		if !ok {
			return nil, fmt.Errorf("event %s: data is not an object", e.ID)
		}
		body := make([]byte, 0, len(e.Data)+len(e.Type)+16)
		body = append(body, `{"event":"`...)
		body = append(body, e.Type...)
		body = append(body, '"')
		if !bytes.Equal(rest, []byte("}")) {
			body = append(body, ',')
		}
		return append(body, rest...), nil
	},

	sign: func(m Message, secrets []string) (string, error) {
		signatures := make([]string, len(secrets))
		for i, s := range secrets {
			signatures[i] = signature.Timestamped(s, m.SentAt, m.Body)
		}
		return strings.Join(signatures, ","), nil
	},

	header: func(h http.Header, m Message, signature string) {
		h.Set(CrewshipEvent, string(m.EventType))
		h.Set(CrewshipDelivery, m.DeliveryID.String())
		h.Set(CrewshipTimestamp, strconv.FormatInt(m.SentAt.Unix(), 10))
		h.Set(CrewshipSignature, signature)
	},
}
