package preset

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"boathook/internal/signature"
)

// Linear is the name of a preset.
const Linear = "linear"

// linear is Linear (Linear Developers, "Webhooks", "Securing webhooks"). The time
// is in the body, in milliseconds, and at most a minute from now.
var linear = preset{
	name: Linear, secret: hasSecret,
	verify: verifyLinear,
	events: func(m *message) []string { return withAction(m, firstOf(inHeader("Linear-Event"), inInput("/type"))) },
	id:     inHeader("Linear-Delivery"),
}

const linearTolerance = time.Minute

func verifyLinear(m *message, body []byte) error {
	err := verifiedBy(signature.HMAC{
		Header: "Linear-Signature", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex,
	}.Verify)(m, body)
	if err != nil {
		return err
	}
	value, _ := m.document(body).ValueAt("/webhookTimestamp")
	number, _ := value.(json.Number)
	millis, err := strconv.ParseUint(number.String(), 10, 63)
	if err != nil {
		return unproven(errors.New("webhookTimestamp: expected Unix milliseconds"))
	}
	sent, err := signature.ParseTimestamp("webhookTimestamp", strconv.FormatUint(millis/1000, 10))
	if err == nil {
		err = sent.Fresh(m.At, linearTolerance)
	}
	if err != nil {
		return unproven(err)
	}
	return nil
}
