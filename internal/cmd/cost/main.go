// Command cost says what Boathook costs, in dollars per million triggers, runs
// and deliveries. It counts what the functions' real binaries send to AWS, the
// size of each item and message, the time they are billed and the bytes they
// log, and multiplies that by the list prices of infra/prices.json.
//
// The reference: warm functions, the story of package events as the body, one
// webhook, a receiver that answers after 200 ms. It is run by the command
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
	"boathook/internal/cloud"
	"boathook/internal/queue"
)

const (
	receiverDelay = 200 * time.Millisecond
	repeats       = 20   // of each measurement
	target        = 1.20 // dollars per million deliveries in full batches
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
	var full float64
	for _, n := range []int{1, 3, 5, 10} {
		first, second, err := b.deliveries(ctx, n)
		if err != nil {
			return err
		}
		full = row(fmt.Sprintf("delivery, %d a batch", n), first)
		if n == 1 || n == 10 {
			row(fmt.Sprintf("with one retry, %d a batch", n), second)
		}
	}
	trigger, execution, err := b.runs(ctx)
	if err != nil {
		return err
	}
	row("accepted trigger", trigger)
	row("run, with its event", execution)
	if err := table.Flush(); err != nil {
		return err
	}

	d := prices.Dollars
	idle, err := b.idle(ctx)
	if err != nil {
		return err
	}
	fixed := float64(b.count("AWS::KMS::Key"))*d.Key + float64(b.count("AWS::SecretsManager::Secret"))*d.Secret + float64(b.count("AWS::CloudWatch::Alarm"))*d.Alarm
	const gb, polls = 1e9, 5 * 3 * month // five pollers of a queue, each three times a minute
	fmt.Printf("\nDollars per million deliveries, beside those:\n"+
		"  storage   %.2f a month (%d bytes each, in DynamoDB)\n"+
		"  recovery  %.2f a month (point in time)\n"+
		"  egress    %.2f (%d bytes each, if the receiver is on the internet)\n",
		float64(b.meter.item)*1e6/gb*d.Storage, b.meter.item, float64(b.meter.item)*1e6/gb*d.Recovery, float64(b.sent)*1e6/gb*d.Transfer, b.sent)
	fmt.Printf("\nDollars a month of an idle stack:\n"+
		"  key, secret, alarms  %.2f\n"+
		"  polls of the queues  %.2f\n"+
		"  sweep, each minute   %.2f\n",
		fixed, float64(b.count("AWS::Lambda::EventSourceMapping"))*polls/1e6*d.SQS, prices.bill(idle).Total*month/1e6+month/1e6*d.Events)
	if full > target {
		return fmt.Errorf("a delivery in a full batch costs %.2f dollars per million, of at most %.2f", full, target)
	}
	return nil
}

// bench is a stack that is measured.
type bench struct {
	*cloud.Cloud
	template *cloud.Template
	meter    *meter
	server   *http.Server
	url      string // of the API, the target and the receivers
	token    string

	story       queue.Delivery // what is delivered, without its ids
	workspaceID string
	sourceID    string
	trigger     string            // its path
	webhooks    map[string]string // by their path at the receiver

	mu   sync.Mutex
	seen map[string]bool // deliveries that have arrived
	sent int             // bytes of one request
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
		template: template, webhooks: make(map[string]string), seen: make(map[string]bool),
		meter: &meter{memory: make(map[string]float64), used: make(map[string]usage)},
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
			Projection struct{ NonKeyAttributes []string }
		}
		var table struct{ GlobalSecondaryIndexes, LocalSecondaryIndexes []definition }
		if err := json.Unmarshal(text, &table); err != nil {
			return nil, err
		}
		for _, d := range append(table.GlobalSecondaryIndexes, table.LocalSecondaryIndexes...) {
			x := index{copied: d.Projection.NonKeyAttributes}
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
	var me struct{ Workspace struct{ ID string } }
	var made struct{ ID, URL string }
	if err := b.call(ctx, "GET", "/v1/me", "", &me); err != nil {
		return err
	}
	if err := b.call(ctx, "POST", "/v1/deployments", `{"name":"nightly reports"}`, &made); err != nil {
		return err
	}
	b.workspaceID, b.sourceID = me.Workspace.ID, made.ID
	path := "/v1/deployments/" + made.ID
	if err := b.call(ctx, "POST", path+"/versions", fmt.Sprintf(
		`{"environment":"production","target":{"type":"http","url":"%s/target"}}`, b.url), &made); err != nil {
		return err
	}
	if err := b.call(ctx, "POST", path+"/incoming-webhooks", `{"name":"GitHub Actions","environment":"production"}`, &made); err != nil {
		return err
	}
	_, token, _ := strings.Cut(made.URL, "/webhooks/")
	b.trigger = "/webhooks/" + token
	for _, kind := range []string{"ok", "flaky"} {
		// Only the first hears of runs; the other's deliveries are made here.
		environment := map[string]string{"ok": "production", "flaky": "staging"}[kind]
		if err := b.call(ctx, "POST", path+"/outgoing-webhooks", fmt.Sprintf(
			`{"name":"report status","url":"%s/receiver/%s","events":["run.succeeded"],"environment":%q}`, b.url, kind, environment), &made); err != nil {
			return err
		}
		b.webhooks[kind] = made.ID
	}

	text, err := os.ReadFile("events/deliver/one-delivery.json")
	if err != nil {
		return err
	}
	var e awsevents.SQSEvent
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	b.story, err = queue.DecodeDelivery(e.Records[0].Body)
	return err
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

// call makes a request to the API.
func (b *bench) call(ctx context.Context, method, path, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", "application/json")
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
		return fmt.Errorf("%s %s: %d: %w", method, path, res.StatusCode, err)
	}
	return nil
}

// deliveries measures batches of n: what one delivery uses that succeeds at
// once, and one that succeeds at the second attempt. Its share of the request
// that queued it is its own: full batches are queued full.
func (b *bench) deliveries(ctx context.Context, n int) (first, second usage, err error) {
	if _, err = b.batch(ctx, "ok", 1, b.events(n)); err != nil { // warms the function
		return
	}
	b.meter.take()
	for range repeats {
		u, err := b.batch(ctx, "ok", 1, b.events(n))
		if err != nil {
			return first, second, err
		}
		first = first.plus(u)
		for i, events := 1, b.events(n); i <= 2; i++ {
			if u, err = b.batch(ctx, "flaky", i, events); err != nil {
				return first, second, err
			}
			second = second.plus(u)
		}
	}
	return first.times(1 / float64(n*repeats)), second.times(1 / float64(n*repeats)), nil
}

func (b *bench) events(n int) (ids []boathook.Event) {
	for range n {
		ids = append(ids, boathook.Event{ID: boathook.NewID(boathook.EventID), Time: time.Now()})
	}
	return ids
}

// batch has one attempt made for each event, and gives what it used, with what
// the queue did: the request that sent the batch (of a second attempt, it is
// among the function's own), the one that received it, and the one that
// deleted it.
func (b *bench) batch(ctx context.Context, kind string, attempt int, events []boathook.Event) (usage, error) {
	var e awsevents.SQSEvent
	for i := range events {
		d := b.story
		d.ID = boathook.NewDeliveryID(&events[i], b.webhooks[kind])
		d.WorkspaceID, d.SourceID, d.WebhookID = b.workspaceID, b.sourceID, b.webhooks[kind]
		d.EventID, d.Attempt = events[i].ID, attempt
		message, err := queue.EncodeDelivery(d)
		if err != nil {
			return usage{}, err
		}
		e.Records = append(e.Records, awsevents.SQSMessage{MessageId: fmt.Sprint(i), Body: message.Body, EventSource: "aws:sqs"})
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return usage{}, err
	}
	answer, err := b.Invoke(ctx, "DeliverFunction", payload)
	if err == nil && strings.Contains(string(answer), "itemIdentifier") {
		err = fmt.Errorf("the function reports %s", answer)
	}
	if err != nil {
		return usage{}, err
	}
	requests := 1 + chunks(len(payload))
	if attempt == 1 {
		requests += chunks(len(payload))
	}
	return b.meter.take()["DeliverFunction"].plus(usage{SQS: requests}), nil
}

// runs measures a trigger and the run that it starts.
func (b *bench) runs(ctx context.Context) (trigger, execution usage, err error) {
	if err := b.Run(ctx); err != nil {
		return trigger, execution, err
	}
	const input = `{"repository":"acme/reports","ref":"refs/heads/main","build":18446744073709551617,"actor":"Zoë"}`
	for i := range repeats + 3 {
		var answer struct {
			RunID string `json:"run_id"`
		}
		if err := b.call(ctx, "POST", b.trigger, input, &answer); err != nil {
			return trigger, execution, err
		}
		for {
			waiting, inFlight, err := b.Depth(ctx, "RunsQueue")
			if err != nil {
				return trigger, execution, err
			}
			if waiting+inFlight == 0 {
				break
			}
			time.Sleep(20 * time.Millisecond) // other processes: there is nothing to wait on
		}
		used := b.meter.take()
		if i < 3 {
			continue // warm by now
		}
		trigger = trigger.plus(used["IntakeFunction"]).plus(usage{HTTP: 1, LogBytes: accessLine + lineOverhead})
		execution = execution.plus(used["ExecuteFunction"]).plus(usage{SQS: 2}) // received and deleted
	}
	return trigger.times(1.0 / repeats), execution.times(1.0 / repeats), nil
}

// idle measures a minute's sweep with nothing to do.
func (b *bench) idle(ctx context.Context) (usage, error) {
	payload := []byte(`{"source":"aws.events"}`)
	for range 2 { // the first one warms the function
		b.meter.take()
		if _, err := b.Invoke(ctx, "SweepFunction", payload); err != nil {
			return usage{}, err
		}
	}
	return b.meter.take()["SweepFunction"], nil
}

// count is how many resources of a type the template has.
func (b *bench) count(kind string) (n int) {
	for _, r := range b.template.Resources {
		if r.Type == kind {
			n++
		}
	}
	return n
}
