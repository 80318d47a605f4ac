package capacity

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Load is what a stack is asked to do. Shares are from 0 to 1. What is not measured is an
// assumption, and has its default in [DefaultLoad].
type Load struct {
	Rate, Fanout, Publish, Batch, Size  float64
	Latency, Failing, Attempts          float64
	Slow, SlowLatency                   float64
	Webhooks, Workspaces                float64
	Triggers, Start                     float64
	RunSeconds, RunPrints               float64
	Watchers, Frames, Pages, RetainDays float64
}

// DefaultLoad is what is assumed of a rate.
func DefaultLoad(rate float64) Load {
	return Load{
		Rate: rate, Fanout: 1, Publish: 10, Latency: 200, Failing: 0.01, Attempts: 1, Slow: 0.001, SlowLatency: 5000,
		Webhooks: 1000, Workspaces: 100,
		Triggers: rate / 1000, Start: 0.5, RunSeconds: 30, RunPrints: 2,
		Watchers: 1, Frames: 1, Pages: 1000, RetainDays: 30,
	}
}

// Stack is how a stack is deployed, and on what account.
type Stack struct {
	Account float64 // its concurrent executions

	// The template's parameters.
	RequestRate, RunConcurrency, DeliveryConcurrency, RetryConcurrency, IntakeConcurrency float64
}

// DefaultStack has the template's defaults, and an account's quotas as AWS's are.
func DefaultStack() Stack {
	return Stack{Account: accountConcurrency, RequestRate: 500, RunConcurrency: 10, DeliveryConcurrency: 20, RetryConcurrency: 10}
}

// Field is a number that a load or a stack is given.
type Field struct {
	Name        string // as the command's arguments have it
	Value       *float64
	Least, Most float64
	Meaning     string
}

// Fields are a load's.
func (l *Load) Fields() []Field {
	return []Field{
		{"RATE", &l.Rate, 0.001, 1e7, "deliveries a second, by their first attempts"},
		{"FANOUT", &l.Fanout, 1, 1e4, "webhooks that want an event"},
		{"PUBLISH", &l.Publish, 1, 100, "events in a request of the publisher"},
		{"BATCH", &l.Batch, 0, fullBatch, "deliveries in a batch; 0: as many as come to a poller while it collects"},
		{"SIZE", &l.Size, 0, 256 << 10, "bytes of an event's body, taken as if compression did nothing; 0: what was measured"},
		{"LATENCY", &l.Latency, 0, 30_000, "milliseconds until a receiver answers"},
		{"FAILING", &l.Failing, 0, 1, "share of deliveries whose first attempt fails"},
		{"ATTEMPTS", &l.Attempts, 0, 100, "further attempts of each of those"},
		{"SLOW", &l.Slow, 0, 1, "share of deliveries whose receiver takes SLOW_LATENCY"},
		{"SLOW_LATENCY", &l.SlowLatency, slowAfter, 30_000, "milliseconds until a slow receiver answers"},
		{"WEBHOOKS", &l.Webhooks, 1, 1e9, "webhooks that the rate is spread over evenly"},
		{"WORKSPACES", &l.Workspaces, 1, 1e9, "workspaces that these are spread over evenly"},
		{"TRIGGERS", &l.Triggers, 0, 1e6, "triggers a second, each of which starts a run"},
		{"START", &l.Start, 0, 10, "seconds that a trigger waits for its run's start, beyond what was measured"},
		{"RUN_SECONDS", &l.RunSeconds, 0, 840, "seconds that a run's target takes"},
		{"RUN_PRINTS", &l.RunPrints, 0, 840, "seconds of those in which it prints"},
		{"WATCHERS", &l.Watchers, 0, 1e6, "WebSockets that are open all the time"},
		{"FRAMES", &l.Frames, 0, 5, "messages a second to each of them"},
		{"PAGES", &l.Pages, 0, 1e9, "pages of the console a day, each as costly as its overview"},
		{"RETENTION_DAYS", &l.RetainDays, 15, 3653, "days that records are kept"},
	}
}

// Fields are a stack's.
func (s *Stack) Fields() []Field {
	return []Field{
		{"ACCOUNT", &s.Account, 1, 1e6, "concurrent executions of the account"},
		{"RequestRate", &s.RequestRate, 10, 10_000, "the template's parameter"},
		{"RunConcurrency", &s.RunConcurrency, 2, mappingConcurrency, "the template's parameter"},
		{"DeliveryConcurrency", &s.DeliveryConcurrency, 2, mappingConcurrency, "the template's parameter"},
		{"RetryConcurrency", &s.RetryConcurrency, 2, mappingConcurrency, "the template's parameter"},
		{"IntakeConcurrency", &s.IntakeConcurrency, 0, 10_000, "the template's parameter; 0: none is reserved"},
	}
}

// Parse reads arguments such as RATE=100. A rate comes with what is assumed of it, and all
// else as it is given, in any order.
func Parse(arguments []string) (Load, Stack, error) {
	given := make(map[string]float64)
	for _, argument := range arguments {
		name, text, _ := strings.Cut(argument, "=")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return Load{}, Stack{}, fmt.Errorf("%q: it has to be a name and a number, such as RATE=100", argument)
		}
		given[name] = value
	}
	rate, ok := given["RATE"]
	if !ok {
		return Load{}, Stack{}, errors.New("RATE is missing: deliveries a second")
	}
	l, s := DefaultLoad(rate), DefaultStack()
	for _, f := range append(l.Fields(), s.Fields()...) {
		if value, ok := given[f.Name]; ok {
			*f.Value = value
			delete(given, f.Name)
		}
	}
	for name := range given {
		return Load{}, Stack{}, fmt.Errorf("nobody knows what %s is", name)
	}
	return l, s, errors.Join(l.check(), s.check())
}

func check(fields []Field) error {
	var errs []error
	for _, f := range fields {
		if !(*f.Value >= f.Least && *f.Value <= f.Most) {
			errs = append(errs, fmt.Errorf("%s is %g: it has to be from %g to %g", f.Name, *f.Value, f.Least, f.Most))
		}
	}
	return errors.Join(errs...)
}

// check names each field that is out of range, and its limits.
func (l Load) check() error {
	err := check(l.Fields())
	if l.Workspaces > l.Webhooks {
		err = errors.Join(err, fmt.Errorf("WORKSPACES is %g of %g WEBHOOKS: it has to be less", l.Workspaces, l.Webhooks))
	}
	if l.RunPrints > l.RunSeconds {
		err = errors.Join(err, fmt.Errorf("RUN_PRINTS is %g of %g RUN_SECONDS: it has to be less", l.RunPrints, l.RunSeconds))
	}
	return err
}

func (s Stack) check() error {
	err := check(s.Fields())
	if s.IntakeConcurrency > 0 && s.IntakeConcurrency > s.Account-unreserved {
		err = errors.Join(err, fmt.Errorf("IntakeConcurrency is %g of an ACCOUNT of %g: Lambda keeps %d unreserved", s.IntakeConcurrency, s.Account, unreserved))
	}
	return err
}
