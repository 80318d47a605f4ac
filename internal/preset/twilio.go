package preset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"boathook/internal/signature"
)

// Twilio is the name of a preset.
const Twilio = "twilio"

// twilio is Twilio (Twilio Docs, "Webhooks Security", "Validating Signatures from
// Twilio"). The secret is the account's auth token. The signature is over the whole
// URL, with its query, and a form's fields; of a JSON body the query has a hash.
var twilio = preset{
	name: Twilio, secret: hasSecret, form: fieldsOf,
	verify: verifyTwilio,
	events: oneOf(inInput("/EventType"), inInput("/MessageStatus"), inInput("/SmsStatus"), inInput("/CallStatus"), inInput("/0/type")),
	id: firstOf(inHeader("I-Twilio-Idempotency-Token"), inInput("/MessageSid"), inInput("/SmsSid"), inInput("/CallSid"),
		inInput("/0/id")),
	// A message's id comes with each of its states. The signature is another for
	// each, and the same when one is repeated.
	key:      inHeader(twilioSignature),
	accepted: emptyTwiML,
}

const (
	twilioSignature = "X-Twilio-Signature"
	bodyHash        = "bodySHA256"
)

func verifyTwilio(m *message, body []byte) error {
	text, err := signature.Required(m.Header, twilioSignature)
	if err != nil {
		return unproven(err)
	}
	scheme := signature.HMAC{Algorithm: signature.AlgorithmSHA1, Encoding: signature.Base64}
	given, ok := scheme.Decode(text)
	if !ok {
		return unproven(fmt.Errorf("%s: expected %s", twilioSignature, scheme.Form()))
	}
	var fields string
	if want := m.Query.Get(bodyHash); want != "" {
		sum := sha256.Sum256(body)
		if !signature.EqualText(strings.ToLower(want), hex.EncodeToString(sum[:])) {
			return unproven(errors.New(bodyHash + " is of another body"))
		}
	} else if fields, err = sortedFields(body); err != nil {
		return unproven(err)
	}
	err = signature.ErrMismatch
	for _, sentTo := range m.URLs {
		if err = scheme.Compare([][]byte{given}, []byte(m.Secret), []byte(sentTo+fields)); err == nil {
			return nil
		}
	}
	if errors.Is(err, signature.ErrMismatch) {
		err = errors.New("signature is over another URL or body, or with another auth token; the URL is to be signed as Boathook shows it")
	}
	return unproven(err)
}

// sortedFields are a form's names and values, by name and then by value, one after
// the other. A value that is given twice counts once, as in Twilio's libraries.
func sortedFields(body []byte) (string, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", errors.New("the form is malformed")
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.Sorted(slices.Values(form[name]))
		for _, value := range slices.Compact(values) {
			text.WriteString(name + value)
		}
	}
	return text.String(), nil
}

// emptyTwiML is an answer of no instructions: Twilio would send a text as a message,
// and log an error about JSON.
func emptyTwiML(m *message) *Answer {
	if !isForm(m) {
		return nil
	}
	return &Answer{Status: http.StatusOK, ContentType: "text/xml", Body: []byte("<Response/>")}
}
