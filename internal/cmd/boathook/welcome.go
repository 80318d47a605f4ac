package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"text/template"
)

// welcome says where everything is and, for development, prints lines to paste that show
// the whole way through.
func welcome(w io.Writer, c config, d data, secret string) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "Boathook is at %s; ", c.publicURL)
	if c.inMemory() {
		fmt.Fprintln(&text, "everything is in memory.")
	} else {
		fmt.Fprintf(&text, "its data is in %s.\n", c.data)
	}
	if !c.dev {
		if c.adminToken == "" && !c.inMemory() {
			fmt.Fprintf(&text, "The admin token is in %s.\n", filepath.Join(c.data, adminTokenFile))
		}
	} else if err := lines.Execute(&text, map[string]string{
		"URL": c.publicURL, "Token": d.adminToken, "Internal": d.internalToken, "Secret": secret,
	}); err != nil {
		return err
	}
	_, err := w.Write(text.Bytes())
	return err
}

var lines = template.Must(template.New("welcome").Parse(`Command targets and loopback URLs are allowed here (--dev), and only here. Paste these
lines into another terminal:

echo '== A deployment, and a version of it that answers with its input.'
export BOATHOOK={{.URL}} AUTH='Authorization: Bearer {{.Token}}'
field() { grep -o "\"$1\":\"[^\"]*" | head -n 1 | cut -d'"' -f4; }
DEPLOYMENT=$(curl -sS "$BOATHOOK/v1/deployments" -H "$AUTH" -d '{"name":"hello"}' | field id)
curl -sS -w '\n' "$BOATHOOK/v1/deployments/$DEPLOYMENT/versions" -H "$AUTH" \
  -d '{"environment":"production","target":{"type":"command","argv":["sh","-c","echo working >&2; cat"]}}'

echo '== An outgoing webhook to a receiver that is built in: watch it in the first terminal.'
WEBHOOK=$(curl -sS "$BOATHOOK/v1/deployments/$DEPLOYMENT/outgoing-webhooks" -H "$AUTH" \
  -d '{"name":"receiver","url":"{{.URL}}/receiver","events":["run.succeeded","run.failed"],"environment":"production","signing_secret":"{{.Secret}}"}' | field id)

echo '== An incoming webhook. Its URL is the credential, and is shown once.'
TRIGGER=$(curl -sS "$BOATHOOK/v1/deployments/$DEPLOYMENT/incoming-webhooks" -H "$AUTH" \
  -d '{"name":"from my terminal","environment":"production"}' | field url)
echo "The trigger URL: $TRIGGER"

echo '== Trigger a run, look at it, and at what was delivered.'
RUN=$(curl -sS -w '\n' "$TRIGGER" -d '{"hello":"world"}' | tee /dev/stderr | field run_id)
sleep 1
curl -sS -w '\n' "$BOATHOOK/v1/runs/$RUN" -H "$AUTH"
curl -sS "$BOATHOOK/v1/runs/$RUN/events" -H "$AUTH"
DELIVERY=$(curl -sS "$BOATHOOK/v1/deployments/$DEPLOYMENT/outgoing-webhooks/$WEBHOOK/deliveries" -H "$AUTH" | field id)
curl -sS -w '\n' "$BOATHOOK/v1/deliveries/$DELIVERY" -H "$AUTH"

echo '== An agent of a crew. It answers with the message that it reads.'
CREW=$(curl -sS "$BOATHOOK/v1/crews" -H "$AUTH" -d '{"name":"my crew"}' | field id)
AGENT=$(curl -sS "$BOATHOOK/v1/crews/$CREW/agents" -H "$AUTH" \
  -d '{"name":"Echo","slug":"echo","target":{"type":"command","argv":["sh","-c","echo \"$BOATHOOK_MESSAGE\""]}}' | field id)

echo '== Trigger it, signed with its secret; look at its run, and at its log.'
SECRET=$(curl -sS "$BOATHOOK/api/v1/internal/agents/$AGENT/webhook-secret" -H 'X-Internal-Token: {{.Internal}}' | field webhook_secret)
PAYLOAD='{"event":"pull_request.opened","source":"github","data":{"repository":"org/repo","pr_number":42}}'
SIGNATURE=$(printf %s "$PAYLOAD" | openssl dgst -sha256 -hmac "$SECRET" | sed 's/.* //')
curl -sS -w '\n' "$BOATHOOK/api/v1/webhooks/$CREW/$AGENT/trigger" -H "X-Signature: $SIGNATURE" -d "$PAYLOAD"
sleep 1
curl -sS -w '\n' "$BOATHOOK/api/v1/agents/$AGENT/runs" -H "$AUTH"
curl -sS -w '\n' "$BOATHOOK/api/v1/agents/$AGENT/logs" -H "$AUTH"
`))
