package preset

import "boathook/internal/signature"

// Shopify is the name of a preset.
const Shopify = "shopify"

// shopify is Shopify (Shopify Docs, "Deliver webhooks through HTTPS").
var shopify = preset{
	name: Shopify, secret: hasSecret,
	verify: verifiedBy(signature.HMAC{
		Header: "X-Shopify-Hmac-Sha256", Algorithm: signature.AlgorithmSHA256, Encoding: signature.Base64,
	}.Verify),
	events: oneOf(inHeader("X-Shopify-Topic")),
	id:     inHeader("X-Shopify-Webhook-Id"),
}
