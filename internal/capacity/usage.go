package capacity

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
)

// Usage is what something uses of AWS: one delivery, one trigger, one request.
type Usage struct {
	Invocations float64 `json:"invocations,omitzero"` // of Lambda
	GBSeconds   float64 `json:"gb_seconds,omitzero"`
	Billed      float64 `json:"billed_ms,omitzero"`   // of Lambda, in milliseconds
	CPU         float64 `json:"cpu_ms,omitzero"`      // the function's own processor time, in milliseconds
	Writes      float64 `json:"writes,omitzero"`      // DynamoDB's units
	Reads       float64 `json:"reads,omitzero"`       // DynamoDB's units
	SQS         float64 `json:"sqs,omitzero"`         // requests, as SQS bills them
	HTTP        float64 `json:"http,omitzero"`        // requests to the HTTP API, as it bills them
	KMS         float64 `json:"kms,omitzero"`         // requests
	Secret      float64 `json:"secret,omitzero"`      // requests
	LogBytes    float64 `json:"log_bytes,omitzero"`   // that CloudWatch ingests
	Partitions  Spread  `json:"partitions,omitempty"` // Writes and Reads by where they go
}

// Units are DynamoDB's.
type Units struct {
	Writes float64 `json:"writes,omitzero"`
	Reads  float64 `json:"reads,omitzero"`
}

// Spread is how many units go to each kind of partition. A kind is the name of a table or
// of a global index, and what the partition's key begins with: "records dlv", "by-parent
// runs". [kinds] says how many partitions there are of each.
type Spread map[string]Units

// Plus is both together.
func (u Usage) Plus(v Usage) Usage {
	sum := Usage{
		Invocations: u.Invocations + v.Invocations, GBSeconds: u.GBSeconds + v.GBSeconds, Billed: u.Billed + v.Billed, CPU: u.CPU + v.CPU,
		Writes: u.Writes + v.Writes, Reads: u.Reads + v.Reads, SQS: u.SQS + v.SQS, HTTP: u.HTTP + v.HTTP, KMS: u.KMS + v.KMS,
		Secret: u.Secret + v.Secret, LogBytes: u.LogBytes + v.LogBytes,
	}
	if len(u.Partitions)+len(v.Partitions) > 0 {
		sum.Partitions = make(Spread, len(u.Partitions)+len(v.Partitions))
	}
	for _, of := range []Spread{u.Partitions, v.Partitions} {
		for kind, units := range of {
			before := sum.Partitions[kind]
			sum.Partitions[kind] = Units{before.Writes + units.Writes, before.Reads + units.Reads}
		}
	}
	return sum
}

// Times is n of it.
func (u Usage) Times(n float64) Usage {
	product := Usage{
		Invocations: u.Invocations * n, GBSeconds: u.GBSeconds * n, Billed: u.Billed * n, CPU: u.CPU * n,
		Writes: u.Writes * n, Reads: u.Reads * n, SQS: u.SQS * n, HTTP: u.HTTP * n, KMS: u.KMS * n,
		Secret: u.Secret * n, LogBytes: u.LogBytes * n,
	}
	if len(u.Partitions) > 0 {
		product.Partitions = make(Spread, len(u.Partitions))
	}
	for kind, units := range u.Partitions {
		product.Partitions[kind] = Units{units.Writes * n, units.Reads * n}
	}
	return product
}

// Counts are what the functions' real binaries were seen to use, on emulators.
type Counts struct {
	ReceiverMS   float64          `json:"receiver_ms"`   // how long receivers took to answer
	RequestBytes float64          `json:"request_bytes"` // of a delivery
	BodyBytes    float64          `json:"body_bytes"`    // of its body
	StoredBytes  float64          `json:"stored_bytes"`  // of a delivery that succeeded at once, in DynamoDB
	Standing     Standing         `json:"standing"`
	Rows         map[string]Usage `json:"rows"`
}

// Standing is what the template has that costs something whether it is used or not.
type Standing struct {
	Keys         float64 `json:"keys"`
	Secrets      float64 `json:"secrets"`
	AlarmMetrics float64 `json:"alarm_metrics"` // that alarms watch
	Dashboards   float64 `json:"dashboards"`
	Mappings     float64 `json:"mappings"` // of queues to functions
}

// ReadCounts reads the file that the command cost has written.
func ReadCounts(file string) (c Counts, err error) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// Read reads the files of counts and of prices.
func Read(countsFile, priceFile string) (c Counts, p Prices, err error) {
	if c, err = ReadCounts(countsFile); err == nil {
		p, err = ReadPrices(priceFile)
	}
	return c, p, err
}

// Write writes a file for [ReadCounts], with four digits of each number.
func (c Counts) Write(file string) error {
	rounded := c
	rounded.Rows = make(map[string]Usage, len(c.Rows))
	for name, u := range c.Rows {
		rounded.Rows[name] = u.rounded()
	}
	text, err := json.MarshalIndent(rounded, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func (u Usage) rounded() Usage {
	r := u
	for _, n := range r.numbers() {
		*n.value = fourDigits(*n.value)
	}
	r.Partitions = nil
	if len(u.Partitions) > 0 {
		r.Partitions = make(Spread, len(u.Partitions))
	}
	for kind, units := range u.Partitions {
		r.Partitions[kind] = Units{fourDigits(units.Writes), fourDigits(units.Reads)}
	}
	return r
}

func fourDigits(x float64) float64 {
	if x == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

// number is one of a usage's. Those that are timed depend on the machine, and those of
// looks on how long something else took: a trigger looks again until its run has started.
type number struct {
	name  string
	value *float64
	kind  numberKind
}

// slack is what a measurement may be above another whatever its size: less than one of a
// thousand events is charged, since how many of them a request replays depends on time.
func (n number) slack() float64 {
	if n.name == "log_bytes" {
		return 1
	}
	return 0.001
}

type numberKind int

const (
	counted numberKind = iota
	looked
	timed
)

func (u *Usage) numbers() []number {
	return []number{
		{"invocations", &u.Invocations, counted}, {"gb_seconds", &u.GBSeconds, timed}, {"billed_ms", &u.Billed, timed}, {"cpu_ms", &u.CPU, timed},
		{"writes", &u.Writes, counted}, {"reads", &u.Reads, looked}, {"sqs", &u.SQS, counted}, {"http", &u.HTTP, counted},
		{"kms", &u.KMS, counted}, {"secret", &u.Secret, counted}, {"log_bytes", &u.LogBytes, looked},
	}
}

// Differ says where what was measured now differs from what the file has, by more than
// a look more or less makes. Times are not compared.
func (c Counts) Differ(now Counts) error {
	var errs []error
	if c.Standing != now.Standing {
		errs = append(errs, fmt.Errorf("the template had %+v and has %+v", c.Standing, now.Standing))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Rows)) {
		if _, measured := now.Rows[name]; !measured {
			errs = append(errs, fmt.Errorf("%s is not measured any more", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now.Rows)) {
		before, known := c.Rows[name]
		if !known {
			errs = append(errs, fmt.Errorf("%s is new", name))
			continue
		}
		after := now.Rows[name]
		for i, b := range before.numbers() {
			a := *after.numbers()[i].value
			if b.kind != timed && math.Abs(a-*b.value) > tolerance(name, b.kind)*max(a, *b.value)+b.slack() {
				errs = append(errs, fmt.Errorf("%s: %s were %.4g and are %.4g", name, b.name, *b.value, a))
			}
		}
	}
	return errors.Join(errs...)
}

// tolerance is the share by which two measurements of one thing may differ. A run's record
// is written by its trigger or by its execution, whichever is first: each alone may have it
// or not. Both together may have a write that was refused, where one has just been ahead. A
// trigger looks for its run's start as often as that takes.
func tolerance(row string, kind numberKind) float64 {
	switch {
	case kind == looked && strings.HasPrefix(row, "trigger"):
		return 0.6
	case kind == looked, row == "trigger", row == "run", row == "run that takes its turn":
		return 0.25
	case row == "trigger with its run":
		return 0.05
	}
	return 0.02
}
