PAYLOAD='{"event":"alert","source":"shell","data":{"text":"ledger drift over 0.5 %"}}'
TIMESTAMP=$(date +%s)
SIGNATURE=$(printf '%s.%s' "$TIMESTAMP" "$PAYLOAD" | openssl dgst -sha256 -hmac "$WEBHOOK_SECRET" | sed 's/.* //')
curl -sS --fail TRIGGER_URL \
  -H "X-Timestamp: $TIMESTAMP" -H "X-Signature: $SIGNATURE" -d "$PAYLOAD"
