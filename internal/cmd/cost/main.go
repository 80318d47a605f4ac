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
//
// With a rate it measures nothing, and says what a month costs by what was measured before:
//
//	make cost RATE=100
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"boathook/internal/capacity"
	"boathook/internal/testing/localaws"
)

const (
	receiverDelay = 200 * time.Millisecond
	slowDelay     = 1300 * time.Millisecond // more, of an endpoint that is slow
	repeats       = 10                      // of each measurement
	published     = 100                     // events in a publish
	limit         = 1.20                    // dollars per million events that are published and delivered, in full batches
)

func main() {
	template := flag.String("template", "", "the translated template, a `file`")
	list := flag.String("prices", "infra/prices.json", "the list prices, a `file`")
	counts := flag.String("counts", "infra/counts.json", "what each thing was seen to use, a `file`")
	write := flag.Bool("write", false, "write that file; otherwise what is seen now is compared with it")
	rate := flag.String("rate", "", "print a month at so many deliveries a second, or at several with commas between them, from that file, and measure nothing; arguments are those of make capacity")
	flag.Parse()
	if *rate != "" {
		if err := months(*counts, *list, *rate, flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, "cost:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *template, *list, *counts, *write)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

// months prints a month at a rate by what was measured before.
func months(countsFile, priceFile, rate string, arguments []string) error {
	counts, prices, err := capacity.Read(countsFile, priceFile)
	if err != nil {
		return err
	}
	return printMonths(os.Stdout, counts, prices, strings.Split(rate, ","), arguments)
}

func run(ctx context.Context, templateFile, priceFile, countsFile string, write bool) error {
	prices, err := capacity.ReadPrices(priceFile)
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
	report := newReport(prices)
	full, err := report.measure(ctx, b)
	if err != nil {
		return err
	}
	const gb = 1e9
	sent, body := b.requestSize()
	d, stored := prices.Dollars, float64(b.stored)*1e6/gb
	fmt.Printf("\nDollars per million deliveries, beside those:\n"+
		"  storage   %.2f a month (%d bytes each, in DynamoDB)\n"+
		"  recovery  %.2f a month (point in time)\n"+
		"  egress    %.2f (%d bytes each, if the receiver is on the internet)\n",
		stored*d.Storage, b.stored, stored*d.Recovery, float64(sent)*1e6/gb*d.Transfer, sent)

	sweep, err := b.sweep(ctx)
	if err != nil {
		return err
	}
	report.rows["sweep"] = sweep
	now := capacity.Counts{
		ReceiverMS:   float64(receiverDelay.Milliseconds()),
		RequestBytes: float64(sent), BodyBytes: float64(body), StoredBytes: float64(b.stored),
		Standing: standing(template), Rows: report.rows,
	}
	printIdle(now, prices)
	fmt.Println()
	if err := printMonths(os.Stdout, now, prices, rates, nil); err != nil {
		return err
	}
	if write {
		if err := now.Write(countsFile); err != nil {
			return err
		}
	} else if err := differ(countsFile, now); err != nil {
		return err
	}
	if full > limit {
		return fmt.Errorf("a million events that are published and delivered in full batches cost %.2f dollars, of at most %.2f", full, limit)
	}
	return nil
}

// differ compares what was measured with the file that the model of capacity reads.
func differ(file string, now capacity.Counts) error {
	before, err := capacity.ReadCounts(file)
	if err != nil {
		return err
	}
	if err := before.Differ(now); err != nil {
		return fmt.Errorf("%s is not what is measured: make cost WRITE=1 writes it, and go test ./internal/cmd/cost ./internal/cmd/capacity -update the documents.\n%w", file, err)
	}
	return nil
}

// report is the table of what each thing costs, and what it counts.
type report struct {
	prices capacity.Prices
	table  *tabwriter.Writer
	rows   map[string]capacity.Usage // by their keys in the file of counts
}

func newReport(prices capacity.Prices) *report {
	r := &report{prices: prices, table: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight), rows: make(map[string]capacity.Usage)}
	fmt.Fprintln(r.table, "\tCPU ms\tbilled ms\tLambda\tcompute\twrites\treads\tSQS\tHTTP\tkeys\tlogs\ttotal\t")
	return r
}

// row prints a line. What has a key is counted; what has none is made of others.
func (r *report) row(key, name string, u capacity.Usage) (total float64) {
	d := r.prices.Bill(u)
	fmt.Fprintf(r.table, "%s\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
		name, u.CPU, u.Billed, d.Lambda, d.Compute, d.Writes, d.Reads, d.SQS, d.HTTP, d.Keys, d.Logs, d.Total)
	if key != "" {
		r.rows[key] = u
	}
	return d.Total
}

// measure prints what each thing costs, by what it is for. full is what an event
// costs that is published and delivered in full batches.
func (r *report) measure(ctx context.Context, b *bench) (full float64, err error) {
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
	r.row("trigger", "accepted trigger", ran.trigger)
	r.row("trigger that joins", "… that joins a burst", ran.joined)
	r.row("run", "run, with its event", ran.execution)
	r.row("trigger with its run", "… and its trigger", ran.trigger.Plus(ran.execution))
	r.row("run that takes its turn", "… that takes its turn", ran.turn)
	r.row("", "… for each second that its target works", capacity.Usage{Billed: 1000, GBSeconds: b.meter.memory["ExecuteFunction"]})
	r.row("run's lease", "… for each renewal of its lease", ran.lease)
	r.row("run's second of log", "… for each second that it prints", ran.log)
	alone, err := b.alone(ctx)
	if err != nil {
		return 0, err
	}
	r.row("event alone", "event, published alone", alone)
	r.row("event", "published event", event)
	r.row("event with a key", "published event, repeatable", keyed)
	r.row("kept event", "published event, kept", fedEvent)
	r.row("kept event with a key", "… repeatable", fedKeyed)
	counted, queued, late, err := b.replays(ctx)
	if err != nil {
		return 0, err
	}
	r.row("replay that counts", "kept event that a replay counts", counted)
	r.row("replay that queues", "… that it queues", queued)
	r.row("replayed delivery", "… delivered, 10 a batch", late)
	batches := []int{1, 3, 5, 10} // the last is a full one
	delivered := make(map[int]capacity.Usage)
	for _, n := range batches {
		first, second, err := b.deliveries(ctx, n)
		if err != nil {
			return 0, err
		}
		delivered[n] = first
		r.row(fmt.Sprint("delivery ", n), fmt.Sprintf("delivery, %d a batch", n), first)
		r.row(fmt.Sprint("delivery with a retry ", n), fmt.Sprintf("%d a batch, and a retry alone", n), second)
	}
	published, spread, err := b.spread(ctx, batches[len(batches)-1])
	if err != nil {
		return 0, err
	}
	r.row("event for 10 webhooks", "10 webhooks, published to", published)
	r.row("delivery 10 of 10 webhooks", "… and delivered, one batch", spread)
	slow, err := b.slow(ctx, batches[len(batches)-1])
	if err != nil {
		return 0, err
	}
	r.row("slow mark", "slow endpoint's first, alone: mark and lease", slow.mark)
	r.row("slow hand-over", "… its others are handed over, 10 a batch", slow.handOver)
	r.row("slow delivery", "… and delivered, 10 a batch", slow.delivered)
	r.row("slow delivery that is held", "… held while one has no answer, 10 a batch", slow.held)
	for _, n := range batches {
		full = r.row("", fmt.Sprintf("published and delivered, %d a batch", n), event.Plus(delivered[n]))
	}
	if err := b.pages(ctx, r.row); err != nil {
		return 0, err
	}
	return full, r.table.Flush()
}
