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
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"boathook/internal/testing/localaws"
)

const (
	receiverDelay = 200 * time.Millisecond
	repeats       = 10   // of each measurement
	published     = 100  // events in a publish
	target        = 1.20 // dollars per million events that are published and delivered, in full batches
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
	template, err := localaws.ReadTemplate(templateFile)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, template)
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Printf("Dollars per million, at the list prices of %s, %s.\n", prices.Region, prices.AsOf)
	full, err := printPerMillion(ctx, b, prices)
	if err != nil {
		return err
	}
	const gb = 1e9
	d, sent, stored := prices.Dollars, b.requestSize(), float64(b.stored)*1e6/gb
	fmt.Printf("\nDollars per million deliveries, beside those:\n"+
		"  storage   %.2f a month (%d bytes each, in DynamoDB)\n"+
		"  recovery  %.2f a month (point in time)\n"+
		"  egress    %.2f (%d bytes each, if the receiver is on the internet)\n",
		stored*d.Storage, b.stored, stored*d.Recovery, float64(sent)*1e6/gb*d.Transfer, sent)

	sweep, err := b.sweep(ctx)
	if err != nil {
		return err
	}
	printIdle(template, prices, sweep)
	if full > target {
		return fmt.Errorf("a million events that are published and delivered in full batches cost %.2f dollars, of at most %.2f", full, target)
	}
	return nil
}

// printPerMillion prints what each thing costs, by what it is for. full is what
// an event costs that is published and delivered in full batches.
func printPerMillion(ctx context.Context, b *bench, prices prices) (full float64, err error) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tLambda\tcompute\twrites\treads\tSQS\tHTTP\tkeys\tlogs\ttotal\t")
	row := func(name string, u usage) float64 {
		d := prices.bill(u)
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
			name, d.Lambda, d.Compute, d.Writes, d.Reads, d.SQS, d.HTTP, d.Keys, d.Logs, d.Total)
		return d.Total
	}
	ran, err := b.runs(ctx)
	if err != nil {
		return 0, err
	}
	event, keyed, err := b.events(ctx, "publish ")
	if err != nil {
		return 0, err
	}
	fedEvent, fedKeyed, err := b.fed(ctx)
	if err != nil {
		return 0, err
	}
	row("accepted trigger", ran.trigger)
	row("… that joins a burst", ran.joined)
	row("run, with its event", ran.execution)
	row("… that takes its turn", ran.turn)
	row("published event", event)
	row("published event, repeatable", keyed)
	row("published event, kept", fedEvent)
	row("… repeatable", fedKeyed)
	counted, queued, late, err := b.replays(ctx)
	if err != nil {
		return 0, err
	}
	row("kept event that a replay counts", counted)
	row("… that it queues", queued)
	row("… delivered, 10 a batch", late)
	batches := []int{1, 3, 5, 10} // the last is a full one
	delivered := make(map[int]usage)
	for _, n := range batches {
		first, second, err := b.deliveries(ctx, n)
		if err != nil {
			return 0, err
		}
		delivered[n] = first
		row(fmt.Sprintf("delivery, %d a batch", n), first)
		row(fmt.Sprintf("%d a batch, and a retry alone", n), second)
	}
	published, spread, err := b.spread(ctx, batches[len(batches)-1])
	if err != nil {
		return 0, err
	}
	row("10 webhooks, published to", published)
	row("… and delivered, one batch", spread)
	for _, n := range batches {
		full = row(fmt.Sprintf("published and delivered, %d a batch", n), event.plus(delivered[n]))
	}
	if err := b.pages(ctx, row); err != nil {
		return 0, err
	}
	return full, table.Flush()
}
