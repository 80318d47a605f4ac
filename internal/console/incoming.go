package console

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/preset"
	"boathook/internal/service"
)

// incomingRoutes has the pages and the changes of a deployment's incoming webhooks.
func (c *Console) incomingRoutes(p place, get, post func(path string, h ofSource)) {
	in := p.path + "/incoming/{in}"
	get(p.path+"/incoming/new", c.newIncoming)
	post(p.path+"/incoming", c.createIncoming)
	get(in, c.incomingPage)
	post(in+"/url", c.showURL)
	get(in+"/edit", c.editIncoming)
	post(in+"/edit", c.saveIncoming)
	post(in+"/enabled", c.switchIncoming)
	get(in+"/rotate", c.askIncoming("incoming-rotate", "Make a new URL", "Incoming.Rotate"))
	post(in+"/rotate", c.rotateIncoming)
	get(in+"/delete", c.askIncoming("incoming-delete", "Delete webhook", "Incoming.Delete"))
	post(in+"/delete", c.deleteIncoming)
}

// sender is what the form asks for a preset, and what is to be done where the preset's
// requests come from.
type sender struct {
	Name, Title string
	Secret      string   // what its secret is called there; empty: it has none
	MaySecret   bool     // it works without
	Fields      []string // of the verification, beside its secret
	Steps       []string // at the sender, once there is a URL
}

const pasteURL = "Paste the URL."

var allSenders = []sender{
	{Name: preset.None, Title: "Anything that has the URL: curl, cron, CI", Steps: []string{"Keep the URL as a secret: whoever has it can start runs.", "Post JSON to it. An Idempotency-Key makes a repeat safe."}},
	{Name: preset.GitHub, Title: "GitHub", Secret: "Secret", Steps: []string{"In the repository: Settings, Webhooks, Add webhook.", "Paste the URL as the Payload URL, and choose the content type application/json.", "Enter the same secret, and choose the events."}},
	{Name: preset.GitLab, Title: "GitLab", Secret: "Secret token", Steps: []string{"In the project: Settings, Webhooks, Add new webhook.", pasteURL, "Enter the same secret token, and choose the triggers."}},
	{Name: preset.Bitbucket, Title: "Bitbucket", Secret: "Secret", Steps: []string{"In the repository: Repository settings, Webhooks, Add webhook.", pasteURL, "Enter the same secret, and choose the triggers."}},
	{Name: preset.Grafana, Title: "Grafana", Secret: "HMAC secret", Fields: []string{"header", "timestamp_header"}, Steps: []string{"In Grafana: Alerting, Contact points, Add contact point, Webhook.", pasteURL, "Under Optional settings, HMAC signature, enter the same secret."}},
	{Name: preset.PagerDuty, Title: "PagerDuty", Secret: "Signing secret", Steps: []string{"In PagerDuty: Integrations, Generic Webhooks, New webhook.", pasteURL, "It shows its secret once: edit this webhook and enter it here."}},
	{Name: preset.Stripe, Title: "Stripe", Secret: "Signing secret (whsec_…)", Steps: []string{"In Stripe: Developers, Webhooks, Add endpoint.", pasteURL, "It shows the signing secret: edit this webhook and enter it here."}},
	{Name: preset.Slack, Title: "Slack", Secret: "Signing secret", Steps: []string{"In your Slack app: Basic Information has the signing secret.", "Paste the URL under Event Subscriptions or Slash Commands. Slack’s question is answered by itself."}},
	{Name: preset.Shopify, Title: "Shopify", Secret: "Client secret", Steps: []string{"In Shopify: Settings, Notifications, Webhooks, Create webhook.", pasteURL + " Choose the format JSON."}},
	{Name: preset.Linear, Title: "Linear", Secret: "Signing secret", Steps: []string{"In Linear: Settings, API, New webhook.", pasteURL, "It shows its signing secret: edit this webhook and enter it here."}},
	{Name: preset.Twilio, Title: "Twilio", Secret: "Auth token", Steps: []string{"In Twilio: paste the URL where the number or the service asks for a webhook, with HTTP POST."}},
	{Name: preset.SendGrid, Title: "SendGrid", Secret: "Verification key", Steps: []string{"In SendGrid: Settings, Mail Settings, Event Webhook.", pasteURL, "Enable the signed event webhook: its verification key belongs here."}},
	{Name: preset.Discord, Title: "Discord", Secret: "Public key", Steps: []string{"In the developer portal: General Information has the public key.", "Paste the URL as the Interactions Endpoint URL. Discord’s question is answered by itself."}},
	{Name: preset.Zoom, Title: "Zoom", Secret: "Secret token", Steps: []string{"In the Zoom app: Feature, Event Subscriptions has the secret token.", "Paste the URL as the event notification endpoint, and validate it."}},
	{Name: preset.AzureEventGrid, Title: "Azure Event Grid", Secret: "Value of the header", MaySecret: true, Fields: []string{"header"}, Steps: []string{"In Azure: create an event subscription with the endpoint type Web Hook.", pasteURL + " Azure’s question is answered by itself.", "Add the header under Delivery properties, if you use one."}},
	{Name: preset.MSGraph, Title: "Microsoft Graph", Secret: "Client state", Steps: []string{"Create the subscription by the API, with the URL as notificationUrl and the same clientState."}},
	{Name: preset.AWSSNS, Title: "Amazon SNS", Fields: []string{"topic_arn"}, Steps: []string{"In Amazon SNS: create a subscription of the topic with the protocol HTTPS.", pasteURL + " The subscription confirms itself.", "Leave raw message delivery off: raw messages have no signature."}},
	{Name: preset.CloudEvents, Title: "CloudEvents", Secret: "Secret", MaySecret: true, Steps: []string{"Give the URL to the sender as its sink, over HTTP."}},
	{Name: preset.Standard, Title: "Standard Webhooks", Secret: "Secret (whsec_…)", Steps: []string{pasteURL, "Enter the same secret at the sender, or the one that it shows here."}},
	{Name: preset.Token, Title: "A token in a header", Secret: "Token", Fields: []string{"header", "delivery_header", "event_header", "event_pointer"}, Steps: []string{"Have the sender send the token in the header with each request."}},
	{Name: preset.HMAC, Title: "Any other that signs with HMAC", Secret: "Secret", Fields: []string{"header", "algorithm", "encoding", "prefix", "timestamp_header", "delivery_header", "event_header", "event_pointer"}, Steps: []string{pasteURL, "Sign the body with the same secret, as the fields say."}},
}

// senderOf is what is asked for a preset; the first for one that is not known.
func senderOf(name string) sender {
	i := slices.IndexFunc(allSenders, func(s sender) bool { return s.Name == name })
	return allSenders[max(i, 0)]
}

// senderField is a field of a verification in the form.
type senderField struct {
	Name, Label, Placeholder, Hint string
	Options                        []option
	Optional                       bool
}

var senderFields = map[string]senderField{
	"header":           {Label: "Header of the signature", Placeholder: "X-Signature"},
	"algorithm":        {Label: "Algorithm", Options: []option{{"sha256", "SHA-256", ""}, {"sha1", "SHA-1", ""}, {"sha512", "SHA-512", ""}}},
	"encoding":         {Label: "Encoding", Options: []option{{"hex", "Hex", ""}, {"base64", "Base64", ""}}},
	"prefix":           {Label: "Prefix of the signature", Placeholder: "sha256=", Optional: true},
	"timestamp_header": {Label: "Header of the time", Optional: true, Hint: "Set it if the time is signed too. Requests over five minutes old are refused."},
	"delivery_header":  {Label: "Header of the sender’s own id", Placeholder: "X-Delivery-Id", Optional: true, Hint: "A repeat with the same id starts no second run."},
	"event_header":     {Label: "Header of the event’s name", Placeholder: "X-Event", Optional: true},
	"event_pointer":    {Label: "Place of the event’s name in the body", Placeholder: "/event/type", Optional: true, Hint: "A JSON Pointer."},
	"topic_arn":        {Label: "Topic", Placeholder: "arn:aws:sns:eu-central-1:123456789012:alarms", Hint: "Only messages of this topic are taken."},
}

// fieldsOf are the fields that a preset's form has.
func fieldsOf(s sender) []senderField {
	fields := make([]senderField, len(s.Fields))
	for i, name := range s.Fields {
		fields[i] = senderFields[name]
		fields[i].Name = verificationField(name)
		if name == "header" && s.Name != preset.HMAC {
			fields[i].Label, fields[i].Optional = "Header", true
		}
	}
	return fields
}

func verificationField(name string) string { return "verification." + name }

// newIncoming is the form of a new webhook. Its preset can be in the URL.
func (c *Console) newIncoming(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := r.caller.May("Incoming.Create"); err != nil {
		return answer{}, err
	}
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	return r.page("incoming-form", incomingFormView(r, s, nil, formOf(r.URL.Query())))
}

// incomingFormView is the page of the form of a new webhook, or of one that is edited.
func incomingFormView(r *request, s boathook.Source, w *boathook.IncomingWebhook, typed form) view {
	path := r.pathOf(refOf(s))
	v := view{Title: "Add incoming webhook", Nav: navOf(s.Kind), Crumbs: r.below(s), Form: typed}
	data := map[string]any{"Action": path + "/incoming", "Cancel": path, "Webhook": w, "Environments": environments, "Senders": allSenders, "New": path + "/incoming/new"}
	if w != nil {
		own := path + "/incoming/" + w.ID
		data["Action"], data["Cancel"], data["New"] = own+"/edit", own, own+"/edit"
		v.Title, v.Crumbs = "Edit "+w.Name, append(v.Crumbs, link{w.Name, own})
		if v.Form == nil {
			v.Form = formOfIncoming(*w)
		}
	}
	chosen := senderOf(v.Form.Value(verificationField("preset")))
	data["Sender"], data["Fields"] = chosen, fieldsOf(chosen)
	data["HasSecret"] = w != nil && w.Verification.Preset == chosen.Name && len(w.Verification.SealedSecret) > 0
	data["Open"] = false
	for _, name := range []string{"filter.events", "filter.jq", "coalesce.key", "coalesce.quiet_seconds", "wait_for_start_ms"} {
		if v.Form.Error(name) != "" || w != nil && v.Form.Value(name) != "" && name != "wait_for_start_ms" {
			data["Open"] = true
		}
	}
	v.Data = data
	return v
}

// formOfIncoming is the form as a webhook has been set.
func formOfIncoming(w boathook.IncomingWebhook) form {
	f := form{}
	f.set("name", w.Name)
	f.set("environment", string(w.Environment))
	f.set("revision", strconv.Itoa(w.Revision))
	f.set("filter.events", strings.Join(w.Filter.Events, ", "))
	f.set("filter.jq", w.Filter.JQ)
	f.set("wait_for_start_ms", strconv.FormatInt(w.WaitForStart.Milliseconds(), 10))
	if !w.Coalesce.IsZero() {
		f.set("coalesce.key", w.Coalesce.Key)
		f.set("coalesce.quiet_seconds", strconv.Itoa(int(w.Coalesce.Quiet/time.Second)))
	}
	v := w.Verification
	for name, value := range map[string]string{
		"preset": v.Preset, "header": v.Header, "algorithm": v.Algorithm, "encoding": v.Encoding, "prefix": v.Prefix, "timestamp_header": v.TimestampHeader,
		"delivery_header": v.DeliveryHeader, "event_header": v.EventHeader, "event_pointer": v.EventPointer, "topic_arn": v.TopicARN,
	} {
		f.set(verificationField(name), value)
	}
	return f
}

// incomingChangeOf reads the form of a webhook. What the form does not show of one that is
// edited stays.
func incomingChangeOf(f form, w boathook.IncomingWebhook) (in service.IncomingChange, err error) {
	text := func(name string) string { return strings.TrimSpace(f.Value(name)) }
	name := text("name")
	in.Name = &name
	if in.WaitForStartMS, err = numberOf(f, "wait_for_start_ms"); err != nil {
		return in, err
	}
	in.Filter = &boathook.Filter{Pointer: w.Filter.Pointer, Equals: w.Filter.Equals, JQ: text("filter.jq")}
	for event := range strings.SplitSeq(f.Value("filter.events"), ",") {
		if event = strings.TrimSpace(event); event != "" {
			in.Filter.Events = append(in.Filter.Events, event)
		}
	}
	in.Coalesce = &service.Coalesce{Key: text("coalesce.key")}
	if in.Coalesce.Key != "" {
		if in.Coalesce.QuietSeconds, err = numberOf(f, "coalesce.quiet_seconds"); err != nil {
			return in, err
		}
		if in.Coalesce.QuietSeconds == nil {
			in.Coalesce.QuietSeconds = new(5)
		}
		if longest := int(w.Coalesce.MaxWait / time.Second); longest > *in.Coalesce.QuietSeconds {
			in.Coalesce.MaxWaitSeconds = &longest
		}
	}
	chosen := senderOf(text(verificationField("preset")))
	in.Verification = &service.Verification{Verification: boathook.Verification{Preset: chosen.Name}}
	if chosen.Name == w.Verification.Preset {
		in.Verification.Separator = w.Verification.Separator
	}
	for _, name := range chosen.Fields {
		into := map[string]*string{
			"header": &in.Verification.Header, "algorithm": &in.Verification.Algorithm, "encoding": &in.Verification.Encoding, "prefix": &in.Verification.Prefix,
			"timestamp_header": &in.Verification.TimestampHeader, "delivery_header": &in.Verification.DeliveryHeader,
			"event_header": &in.Verification.EventHeader, "event_pointer": &in.Verification.EventPointer, "topic_arn": &in.Verification.TopicARN,
		}[name]
		*into = text(verificationField(name))
	}
	if secret := f.Value(verificationField("secret")); secret != "" && chosen.Secret != "" {
		in.Verification.Secret = &secret
	}
	return in, nil
}

// createIncoming makes a webhook, and shows its URL.
func (c *Console) createIncoming(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if r.PostForm.Has("choose") {
		return c.incomingAgain(ctx, r, of, nil, nil)
	}
	f := formOf(r.PostForm)
	in, err := incomingChangeOf(f, boathook.IncomingWebhook{})
	var w boathook.IncomingWebhook
	var token boathook.URLToken
	if err == nil {
		w, token, err = c.cfg.Service.Incoming.Create(ctx, r.caller, of.ID, boathook.Environment(f.Value("environment")), in)
	}
	if err != nil {
		return c.incomingAgain(ctx, r, of, nil, err)
	}
	return c.urlPage(r, of, w, token, "Created")
}

// incomingAgain shows the form of a webhook with what is wrong with it; nil: nothing is,
// but a sender was chosen, without JavaScript, whose fields it now has.
func (c *Console) incomingAgain(ctx context.Context, r *request, of service.SourceRef, w *boathook.IncomingWebhook, problem error) (answer, error) {
	s, err := c.source(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	chosen := senderOf(r.PostForm.Get(verificationField("preset")))
	for _, name := range append(slices.Clone(chosen.Fields), "secret") { // those of a preset that was chosen without JavaScript
		if name := verificationField(name); !r.PostForm.Has(name) {
			r.PostForm[name] = nil
		}
	}
	v := incomingFormView(r, s, w, formOf(r.PostForm))
	if problem == nil {
		return r.page("incoming-form", v)
	}
	return r.invalid("incoming-form", v, problem)
}

// urlPage shows the URL of a webhook, with what to do with it.
func (c *Console) urlPage(r *request, of service.SourceRef, w boathook.IncomingWebhook, token boathook.URLToken, what string) (answer, error) {
	url := httpjson.PublicURL(r.Request, c.cfg.PublicURL) + "/webhooks/runs/" + token.Text
	path := r.pathOf(of)
	data := map[string]any{"Webhook": w, "URL": url, "What": what, "Path": path + "/incoming/" + w.ID, "Sender": senderOf(w.Verification.Preset)}
	if !w.Verification.IsSet() {
		data["Panes"] = triggerSnippets(url)
	}
	return r.page("incoming-url", view{Title: w.Name, Nav: navOf(of.Kind), Crumbs: []link{{"Webhooks", path}}, Data: data})
}

// triggerSnippets post to a URL that needs no signature.
func triggerSnippets(url string) []pane {
	return []pane{
		{"curl", "curl -sS -X POST " + quoted(url) + ` \
  -H 'Content-Type: application/json' \
  -H "Idempotency-Key: $(date +%s)" \
  -d '{"hello":"world"}'
`},
		{"GitHub Actions", `# .github/workflows/boathook.yml
# Keep the URL as the repository's secret BOATHOOK_URL: Settings, Secrets and variables, Actions.
name: Start a run
on:
  push:
    branches: [main]
jobs:
  start:
    runs-on: ubuntu-latest
    steps:
      - env:
          BOATHOOK_URL: ${{ secrets.BOATHOOK_URL }}
        run: |
          curl -fsS --retry 5 --retry-all-errors -X POST "$BOATHOOK_URL" \
            -H 'Content-Type: application/json' \
            -H "Idempotency-Key: $GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT" \
            -d "{\"repository\":\"$GITHUB_REPOSITORY\",\"ref\":\"$GITHUB_REF\",\"commit\":\"$GITHUB_SHA\"}"
`},
		{"cron", "# crontab -e: each day at six\n" + `0 6 * * * curl -fsS --retry 5 -X POST ` + quoted(url) + ` -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +\%F)" -d '{"job":"daily"}'
`},
	}
}

// showURL shows the URL of a webhook again, to an admin. The log keeps who asked, so it is
// no page that is opened by a link.
func (c *Console) showURL(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var w boathook.IncomingWebhook
	var token boathook.URLToken
	err := beside(func() (err error) {
		token, err = c.cfg.Service.Incoming.URL(ctx, r.caller, of.ID, r.PathValue("in"))
		return err
	}, func() (err error) {
		w, err = c.cfg.Service.Incoming.Get(ctx, r.caller, of.ID, r.PathValue("in"))
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return c.urlPage(r, of, w, token, "Shown again")
}

// requestRow is a request in the log of a webhook.
type requestRow struct {
	boathook.Request
	Shown badge
	Mend  string
}

var outcomes = map[boathook.RequestOutcome]badge{
	boathook.RequestAccepted:  {"s-ok", "check", "Accepted"},
	boathook.RequestRepeated:  {"s-idle", "retry", "Repeated"},
	boathook.RequestCoalesced: {"s-idle", "in", "Joined"},
	boathook.RequestIgnored:   {"s-idle", "slash", "Ignored"},
	boathook.RequestAnswered:  {"s-idle", "info", "Handshake"},
	boathook.RequestRejected:  {"s-bad", "x", "Refused"},
}

// mendOf is what would have a refused request accepted.
func mendOf(r boathook.Request, w boathook.IncomingWebhook) string {
	if r.Outcome == boathook.RequestIgnored {
		return "The filter does not want it. Edit the webhook if it should."
	}
	if r.Outcome != boathook.RequestRejected {
		return ""
	}
	switch {
	case !w.Enabled:
		return "The webhook is disabled. Enable it to take requests again."
	case r.Status == 401 && strings.Contains(r.Reason, "old"):
		return "Its signed time is too far from now. Look at the sender’s clock."
	case r.Status == 401:
		return "Enter the same secret here and at " + senderOf(w.Verification.Preset).Title + ". boathook verify tells which mistake it is."
	case r.Status == 413:
		return "Send less: 512 KiB at most."
	case r.Status == 400 || r.Status == 415:
		return "Send JSON, with Content-Type: application/json."
	case r.Status == 409:
		return "Its idempotency key was used with another body. Use a new key for new content."
	case r.Status == 503:
		return "Nothing is live in this environment, or Boathook was not able to take it. Deploy a version, and send it again."
	}
	return ""
}

// incomingPage shows one webhook, and what came to it.
func (c *Console) incomingPage(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	var (
		s        boathook.Source
		w        boathook.IncomingWebhook
		requests []boathook.Request
		next     string
	)
	id, outcome := r.PathValue("in"), boathook.RequestOutcome(r.URL.Query().Get("outcome"))
	err := beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		w, err = c.cfg.Service.Incoming.Get(ctx, r.caller, of.ID, id)
		return err
	}, func() (err error) {
		requests, next, err = c.cfg.Service.Incoming.Requests(ctx, r.caller, of.ID, id, outcome, r.part())
		return err
	})
	if err != nil {
		return answer{}, err
	}
	rows := make([]requestRow, len(requests))
	for i, req := range requests {
		rows[i] = requestRow{req, outcomes[req.Outcome], mendOf(req, w)}
	}
	choices := []option{{"", "Everything", ""}}
	for _, o := range boathook.RequestOutcomes {
		choices = append(choices, option{string(o), outcomes[o].Text, ""})
	}
	path := r.pathOf(of)
	return r.page("incoming", view{
		Title: w.Name, Nav: navOf(of.Kind), Crumbs: r.below(s),
		Data: map[string]any{
			"Webhook": w, "Path": path + "/incoming/" + w.ID, "Rows": rows, "Sender": senderOf(w.Verification.Preset), "CanShow": len(w.SealedToken) > 0,
			"Outcomes": choices, "Outcome": string(outcome), "Pager": r.pager(len(rows), plural(len(rows), "request", "requests"), next),
		},
	})
}

// editIncoming is the form of a webhook that is there.
func (c *Console) editIncoming(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := r.caller.May("Incoming.Change"); err != nil {
		return answer{}, err
	}
	s, w, err := c.ofDeployment(ctx, r, of)
	if err != nil {
		return answer{}, err
	}
	f := formOfIncoming(w)
	if other := r.URL.Query().Get(verificationField("preset")); other != "" { // another is chosen
		f.set(verificationField("preset"), other)
	}
	return r.page("incoming-form", incomingFormView(r, s, &w, f))
}

// ofDeployment finds a deployment and the webhook of it that a page is about.
func (c *Console) ofDeployment(ctx context.Context, r *request, of service.SourceRef) (s boathook.Source, w boathook.IncomingWebhook, err error) {
	err = beside(func() (err error) {
		s, err = c.source(ctx, r, of)
		return err
	}, func() (err error) {
		w, err = c.cfg.Service.Incoming.Get(ctx, r.caller, of.ID, r.PathValue("in"))
		return err
	})
	return s, w, err
}

// saveIncoming changes a webhook. If somebody else has changed it since the form was made,
// the form is shown again before it is.
func (c *Console) saveIncoming(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	w, err := c.cfg.Service.Incoming.Get(ctx, r.caller, of.ID, r.PathValue("in"))
	if err != nil {
		return answer{}, err
	}
	if r.PostForm.Has("choose") {
		return c.incomingAgain(ctx, r, of, &w, nil)
	}
	if r.stale(w.Revision) {
		return c.incomingAgain(ctx, r, of, &w, errChanged)
	}
	in, err := incomingChangeOf(formOf(r.PostForm), w)
	if err == nil {
		_, err = c.cfg.Service.Incoming.Change(ctx, r.caller, of.ID, w.ID, in)
	}
	if err != nil {
		return c.incomingAgain(ctx, r, of, &w, err)
	}
	return r.redirect(r.pathOf(of)+"/incoming/"+w.ID, *in.Name+" is saved")
}

// switchIncoming enables or disables a webhook.
func (c *Console) switchIncoming(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	on := r.PostForm.Get("enabled") == "true"
	w, err := c.cfg.Service.Incoming.Change(ctx, r.caller, of.ID, r.PathValue("in"), service.IncomingChange{Enabled: &on})
	if err != nil {
		return answer{}, err
	}
	return r.redirect(r.back(r.pathOf(of)), w.Name+map[bool]string{true: " is enabled", false: " is disabled: its requests are refused"}[on])
}

// askIncoming is a page about one webhook that asks before something is done.
func (c *Console) askIncoming(template, title string, op service.Operation) ofSource {
	return func(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
		if err := r.caller.May(op); err != nil {
			return answer{}, err
		}
		s, w, err := c.ofDeployment(ctx, r, of)
		if err != nil {
			return answer{}, err
		}
		path := r.pathOf(of) + "/incoming/" + w.ID
		return r.page(template, view{Title: title, Nav: navOf(of.Kind), Crumbs: append(r.below(s), link{w.Name, path}), Data: map[string]any{"Webhook": w, "Path": path}})
	}
}

// rotateIncoming gives a webhook a new URL, and shows it.
func (c *Console) rotateIncoming(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	w, token, err := c.cfg.Service.Incoming.Rotate(ctx, r.caller, of.ID, r.PathValue("in"))
	if err != nil {
		return answer{}, err
	}
	return c.urlPage(r, of, w, token, "New URL")
}

// deleteIncoming deletes a webhook.
func (c *Console) deleteIncoming(ctx context.Context, r *request, of service.SourceRef) (answer, error) {
	if err := c.cfg.Service.Incoming.Delete(ctx, r.caller, of.ID, r.PathValue("in")); err != nil {
		return answer{}, err
	}
	return r.redirect(r.pathOf(of), "The webhook is deleted")
}
