package preset

import "boathook/internal/signature"

// PagerDuty is the name of a preset.
const PagerDuty = "pagerduty"

// pagerDuty is PagerDuty's v3 webhooks (PagerDuty Developer, "Webhooks Overview",
// "Verifying Signatures"): one signature for each secret that is in use.
var pagerDuty = preset{
	name: PagerDuty, secret: hasSecret,
	verify: verifiedBy(signature.HMAC{
		Header: "X-PagerDuty-Signature", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Hex, Prefix: "v1=", Separator: ",",
	}.Verify),
	events: oneOf(inInput("/event/event_type")),
	id:     inInput("/event/id"), idSigned: true,
}
