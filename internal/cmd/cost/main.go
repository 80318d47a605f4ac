// Command cost says what Boathook costs, in dollars per million triggers, runs,
// events and deliveries. It counts what the functions' real binaries send to
// AWS, the size of each item and message, the time they are billed and the
// bytes they log, and multiplies that by the list prices of infra/prices.json.
//
// The reference: warm functions, the document's own example of an event, 100 of
// them in a publish, one webhook, a receiver that answers after 200 ms. What is
// delivered are the messages that the publish has sent. It is run by the command
// emulators, at the root of the checkout:
//
//	make cost
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"boathook/internal/boathook"
	"boathook/internal/catalogue"
	"boathook/internal/cloud"
)

const (
	receiverDelay = 200 * time.Millisecond
	repeats       = 20   // of each measurement
	published     = 100  // events in a publish
	target        = 1.20 // dollars per million events that are published and delivered, in full batches
	month         = 30 * 24 * 60
)

func main() {
	template := flag.String("template", "", "the translated template, a `file`")
	list := flag.String("prices", "infra/prices.json", "the list prices, a `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *template, *list)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, templateFile, priceFile string) error {
	prices, err := readPrices(priceFile)
	if err != nil {
		return err
	}
	template, err := cloud.ReadTemplate(templateFile)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, template)
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Printf("Dollars per million, at the list prices of %s, %s.\n", prices.Region, prices.AsOf)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tLambda\tcompute\twrites\treads\tSQS\tHTTP\tkeys\tlogs\ttotal\t")
	row := func(name string, u usage) float64 {
		d := prices.bill(u)
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
			name, d.Lambda, d.Compute, d.Writes, d.Reads, d.SQS, d.HTTP, d.Keys, d.Logs, d.Total)
		return d.Total
	}
	trigger, execution, err := b.runs(ctx)
	if err != nil {
		return err
	}
	event, keyed, err := b.events(ctx)
	if err != nil {
		return err
	}
	row("accepted trigger", trigger)
	row("run, with its event", execution)
	row("published event", event)
	row("published event, repeatable", keyed)
	batches := []int{1, 3, 5, 10} // the last is a full one
	delivered := make(map[int]usage)
	for _, n := range batches {
		first, second, err := b.deliveries(ctx, n)
		if err != nil {
			return err
		}
		delivered[n] = first
		row(fmt.Sprintf("delivery, %d a batch", n), first)
		row(fmt.Sprintf("with one retry, %d a batch", n), second)
	}
	var full float64
	for _, n := range batches {
		full = row(fmt.Sprintf("published and delivered, %d a batch", n), event.plus(delivered[n]))
	}
	if err := table.Flush(); err != nil {
		return err
	}

	sweep, err := b.sweep(ctx)
	if err != nil {
		return err
	}
	d := prices.Dollars
	const gb = 1e9
	fmt.Printf("\nDollars per million deliveries, beside those:\n"+
		"  storage   %.2f a month (%d bytes each, in DynamoDB)\n"+
		"  recovery  %.2f a month (point in time)\n"+
		"  egress    %.2f (%d bytes each, if the receiver is on the internet)\n",
		float64(b.stored)*1e6/gb*d.Storage, b.stored, float64(b.stored)*1e6/gb*d.Recovery, float64(b.sent)*1e6/gb*d.Transfer, b.sent)

	const polls = 5 * 3 * month // five pollers of a queue, each three times a minute
	key, secrets := count(template, "AWS::KMS::Key")*d.Key, count(template, "AWS::SecretsManager::Secret")*d.Secret
	alarms := alarmMetrics(template) * d.AlarmMetric
	queues := count(template, "AWS::Lambda::EventSourceMapping") * polls / 1e6 * d.SQS
	minutes := prices.bill(sweep).Total*month/1e6 + month/1e6*d.Events
	fmt.Printf("\nDollars a month of an idle stack:\n"+
		"  key                  %.2f\n"+
		"  secrets              %.2f\n"+
		"  alarms               %.2f\n"+
		"  polls of the queues  %.2f\n"+
		"  sweep, each minute   %.2f\n"+
		"  together             %.2f, and %.2f for the dashboard beyond an account's first three\n",
		key, secrets, alarms, queues, minutes, key+secrets+alarms+queues+minutes, count(template, "AWS::CloudWatch::Dashboard")*d.Dashboard)
	if full > target {
		return fmt.Errorf("a million events that are published and delivered in full batches cost %.2f dollars, of at most %.2f", full, target)
	}
	return nil
}

// bench is a stack that is measured.
type bench struct {
	*cloud.Cloud
	meter  *meter
	server *http.Server
	url    string // of the API, the target and the receivers
	token  string

	sourceID string
	trigger  string                            // its path
	queued   map[boathook.Environment][]string // messages to its webhook, in the deliveries queue

	mu   sync.Mutex
	seen map[string]bool // deliveries that have arrived
	sent int             // bytes of one request

	stored int // bytes of a delivery that succeeded at once
}

func newBench(ctx context.Context, template *cloud.Template) (*bench, error) {
	emulators, err := cloud.FromEnv(os.Getenv)
	if err != nil {
		return nil, err
	}
	binaries, err := filepath.Abs(".tools/functions")
	if err != nil {
		return nil, err
	}
	if err := cloud.Build(ctx, ".", binaries, runtime.GOARCH, template.Functions()...); err != nil {
		return nil, err
	}
	b := &bench{
		queued: make(map[boathook.Environment][]string), seen: make(map[string]bool),
		meter: &meter{memory: make(map[string]float64), used: make(map[string]usage), sent: make(map[string][]string)},
	}
	for _, id := range template.Functions() {
		memory, _ := template.Resources[id].Properties["MemorySize"].(float64)
		b.meter.memory[id] = memory / 1024
	}
	b.meter.capacity = newCapacity(nil)
	b.Cloud, err = cloud.Deploy(ctx, cloud.Config{
		Template: template, StackName: "cost", Binaries: binaries, Emulators: emulators,
		Parameters: map[string]string{"AllowedEgress": "127.0.0.0/8", "AllowHttp": "true"},
		Log:        b.meter.log, Called: b.meter.called, Invoked: b.meter.invoked,
	})
	if err != nil {
		return nil, err
	}
	b.meter.capacity.indexes, err = indexes(b.Cloud, template)
	if err == nil {
		err = b.setUp(ctx)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// indexes are the secondary indexes of each table.
func indexes(c *cloud.Cloud, template *cloud.Template) (map[string][]index, error) {
	found := make(map[string][]index)
	for id, r := range template.Resources {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		name, err := c.Resolve(map[string]any{"Ref": id})
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(r.Properties)
		if err != nil {
			return nil, err
		}
		type definition struct {
			KeySchema  []struct{ AttributeName string }
			Projection struct {
				ProjectionType   string
				NonKeyAttributes []string
			}
		}
		var table struct{ GlobalSecondaryIndexes, LocalSecondaryIndexes []definition }
		if err := json.Unmarshal(text, &table); err != nil {
			return nil, err
		}
		for _, d := range append(table.GlobalSecondaryIndexes, table.LocalSecondaryIndexes...) {
			x := index{copied: d.Projection.NonKeyAttributes, whole: d.Projection.ProjectionType == "ALL"}
			for _, k := range d.KeySchema {
				x.keys = append(x.keys, k.AttributeName)
			}
			found[fmt.Sprint(name)] = append(found[fmt.Sprint(name)], x)
		}
	}
	return found, nil
}

// setUp makes a deployment with two webhooks, and serves all three parties.
func (b *bench) setUp(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.url = "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/", b.Cloud)
	mux.HandleFunc("POST /target", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"pages":12,"url":"https://reports.example.com/2026-03-02"}`) //nolint:errcheck // execute tells
	})
	mux.HandleFunc("POST /receiver/{kind}", b.receive)
	b.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go b.server.Serve(listener) //nolint:errcheck // it ends when it is closed

	if b.token, err = b.Secret(ctx, "AdminSecret"); err != nil {
		return err
	}
	var made struct{ ID, URL, Token string }
	if err := b.post(ctx, "/v1/tokens", `{"name":"the publisher","role":"admin"}`, &made); err != nil {
		return err
	}
	b.token = made.Token // as publishers have it, not the stack's own
	if err := b.post(ctx, "/v1/deployments", `{"name":"nightly reports"}`, &made); err != nil {
		return err
	}
	b.sourceID = made.ID
	path := "/v1/deployments/" + made.ID
	if err := b.post(ctx, path+"/versions", fmt.Sprintf(
		`{"environment":"production","target":{"type":"http","url":"%s/target"}}`, b.url), &made); err != nil {
		return err
	}
	if err := b.post(ctx, path+"/incoming-webhooks", `{"name":"GitHub Actions","environment":"production"}`, &made); err != nil {
		return err
	}
	_, token, _ := strings.Cut(made.URL, "/webhooks/")
	b.trigger = "/webhooks/" + token
	for environment, kind := range map[boathook.Environment]string{boathook.Production: "ok", boathook.Staging: "flaky"} {
		if err := b.post(ctx, path+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"report status","url":"%s/receiver/%s","events":["run.succeeded"],"environment":%q}`, b.url, kind, environment), &made); err != nil {
			return err
		}
	}
	return nil
}

// receive answers as receivers do; a flaky one fails the first time.
func (b *bench) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id := r.Header.Get("X-Crewship-Delivery")
	b.mu.Lock()
	again := b.seen[id]
	b.seen[id] = true
	b.sent = len(body) + len(r.URL.Path) + len("POST  HTTP/1.1\r\nHost: \r\n\r\n") + len(r.Host)
	for name, values := range r.Header {
		b.sent += len(name) + len(": \r\n") + len(values[0])
	}
	b.mu.Unlock()
	time.Sleep(receiverDelay)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Server", "nginx/1.27.0")
	if r.PathValue("kind") == "flaky" && !again {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, `{"ok":true}`) //nolint:errcheck // deliver tells
}

// post makes a request to the API, which may have an idempotency key.
func (b *bench) post(ctx context.Context, path, body string, answer any, key ...string) error {
	req, err := http.NewRequestWithContext(ctx, "POST", b.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", "application/json")
	for _, k := range key {
		req.Header.Set(boathook.IdempotencyKey, k)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s", text)
	}
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return fmt.Errorf("POST %s: %d: %w", path, res.StatusCode, err)
	}
	return nil
}

// events measures publishes: what one event uses, its share of the request, and
// what it uses in a request that may be repeated.
func (b *bench) events(ctx context.Context) (event, keyed usage, err error) {
	for i := range repeats + 1 {
		once, err := b.publish(ctx, boathook.Production)
		if err != nil {
			return event, keyed, err
		}
		again, err := b.publish(ctx, boathook.Production, fmt.Sprint("publish ", i))
		if err != nil {
			return event, keyed, err
		}
		if i > 0 { // the first ones warm the function
			event, keyed = event.plus(once), keyed.plus(again)
		}
	}
	return event.times(1.0 / (repeats * published)), keyed.times(1.0 / (repeats * published)), nil
}

// publish publishes as many events as a request may have, and keeps the messages
// that this puts into the deliveries queue.
func (b *bench) publish(ctx context.Context, environment boathook.Environment, key ...string) (usage, error) {
	t, _ := catalogue.Lookup(boathook.Deployment, boathook.EventRunSucceeded)
	event := fmt.Sprintf(`{"source":%q,"type":%q,"environment":%q,"data":%s}`, b.sourceID, t.Name, environment, t.Example)
	body := `{"events":[` + strings.Repeat(event+",", published-1) + event + `]}`
	b.meter.take()
	var answer struct{}
	if err := b.post(ctx, "/v1/events", body, &answer, key...); err != nil {
		return usage{}, err
	}
	sent := b.meter.messages("ManageFunction")
	if len(sent) != published {
		return usage{}, fmt.Errorf("%d events were published in %d messages", published, len(sent))
	}
	b.queued[environment] = append(b.queued[environment], sent...)
	return b.used()["ManageFunction"].plus(request(len(body))), nil
}

// used is what the functions have used since they were last asked, the lines
// included that they have printed.
func (b *bench) used() map[string]usage {
	time.Sleep(20 * time.Millisecond) // they come through pipes, and may be late
	return b.meter.take()
}

// request is what the HTTP API takes for one itself: it counts 512 KiB as one.
func request(size int) usage {
	return usage{HTTP: kilobytes(size, 512), LogBytes: accessLine + lineOverhead}
}

// deliveries measures batches of n: what one delivery uses that succeeds at
// once, and one that succeeds at the second attempt, from the time when it is
// in its queue.
func (b *bench) deliveries(ctx context.Context, n int) (first, second usage, err error) {
	for i := range repeats + 1 {
		once, err := b.attempt(ctx, boathook.Production, n)
		if err != nil {
			return first, second, err
		}
		b.stored = b.meter.item
		failed, err := b.attempt(ctx, boathook.Staging, n)
		if err != nil {
			return first, second, err
		}
		retries := b.meter.messages("DeliverFunction")
		if len(retries) != n {
			return first, second, fmt.Errorf("of %d attempts that failed, %d are made again", n, len(retries))
		}
		again, err := b.deliver(ctx, retries)
		if err != nil {
			return first, second, err
		}
		if i > 0 { // the first ones warm the function
			first, second = first.plus(once), second.plus(failed).plus(again)
		}
	}
	share := 1 / float64(n*repeats)
	return first.times(share), second.times(share), nil
}

// attempt has the first attempts of n published events made.
func (b *bench) attempt(ctx context.Context, environment boathook.Environment, n int) (usage, error) {
	if len(b.queued[environment]) < n {
		if _, err := b.publish(ctx, environment); err != nil {
			return usage{}, err
		}
	}
	batch := b.queued[environment][:n]
	b.queued[environment] = b.queued[environment][n:]
	return b.deliver(ctx, batch)
}

// deliver hands a batch of messages to the function, and gives what it used,
// with the request that received the batch and the one that deleted it.
func (b *bench) deliver(ctx context.Context, batch []string) (usage, error) {
	var e awsevents.SQSEvent
	for i, body := range batch {
		e.Records = append(e.Records, awsevents.SQSMessage{MessageId: fmt.Sprint(i), Body: body, EventSource: "aws:sqs"})
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return usage{}, err
	}
	b.meter.take()
	answer, err := b.Invoke(ctx, "DeliverFunction", payload)
	if err == nil && strings.Contains(string(answer), "itemIdentifier") {
		err = fmt.Errorf("the function reports %s", answer)
	}
	return b.used()["DeliverFunction"].plus(usage{SQS: chunks(batch) + 1}), err
}

// runs measures a trigger and the run that it starts. Until it returns, the
// queues are polled.
func (b *bench) runs(ctx context.Context) (trigger, execution usage, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := b.Run(ctx); err != nil {
		return trigger, execution, err
	}
	const input = `{"repository":"acme/reports","ref":"refs/heads/main","build":18446744073709551617,"actor":"Zoë"}`
	for i := range repeats + 3 {
		var answer struct {
			RunID string `json:"run_id"`
		}
		if err := b.post(ctx, b.trigger, input, &answer); err != nil {
			return trigger, execution, err
		}
		if err := b.drained(ctx, "RunsQueue"); err != nil {
			return trigger, execution, err
		}
		used := b.used()
		if i < 3 {
			continue // warm by now
		}
		trigger = trigger.plus(used["IntakeFunction"]).plus(request(len(input)))
		execution = execution.plus(used["ExecuteFunction"]).plus(usage{SQS: 2}) // received and deleted
	}
	return trigger.times(1.0 / repeats), execution.times(1.0 / repeats), b.drained(ctx, "DeliveriesQueue")
}

// drained waits until a queue is empty.
func (b *bench) drained(ctx context.Context, queue string) error {
	for {
		waiting, inFlight, err := b.Depth(ctx, queue)
		if waiting+inFlight == 0 || err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // other processes: there is nothing to wait on
	}
}

// sweep measures a minute's, with nothing to do.
func (b *bench) sweep(ctx context.Context) (usage, error) {
	payload := []byte(`{"source":"aws.events"}`)
	for range 2 { // the first one warms the function
		b.meter.take()
		if _, err := b.Invoke(ctx, "SweepFunction", payload); err != nil {
			return usage{}, err
		}
	}
	return b.meter.take()["SweepFunction"], nil
}

// count is how many resources of a type the stack has.
func count(t *cloud.Template, kind string) (n float64) {
	for range t.All(kind) {
		n++
	}
	return n
}

// alarmMetrics is how many metrics the stack's alarms watch: each is billed.
func alarmMetrics(t *cloud.Template) (n float64) {
	for alarm := range t.All("AWS::CloudWatch::Alarm") {
		metrics, several := alarm.Properties["Metrics"].([]any)
		if !several {
			n++
		}
		for _, m := range metrics {
			if m, ok := m.(map[string]any); ok && m["MetricStat"] != nil {
				n++
			}
		}
	}
	return n
}
