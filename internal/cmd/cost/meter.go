package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"boathook/internal/capacity"
	"boathook/internal/testing/localaws"
)

// What Lambda and the HTTP API write to their logs by themselves, in bytes:
// START, END and REPORT of an invocation, and a line of the access log.
const (
	platformLines = 70 + 51 + 142
	accessLine    = 260
	lineOverhead  = 26  // what CloudWatch adds to each line
	itemOverhead  = 100 // what DynamoDB adds to each item
)

// lastLine is a part of the last line that each invocation of a function prints
// if all goes well. The other functions then print none.
var lastLine = map[string][]byte{
	"IntakeFunction":  []byte(`"msg":"trigger accepted"`),
	"ExecuteFunction": []byte(`"_aws":`), // the metrics
	"DeliverFunction": []byte(`"_aws":`),
}

// patience is how long a last line may come after its invocation has ended.
const patience = 10 * time.Second

// meter counts what a stack uses, by function.
type meter struct {
	memory map[string]float64 // in GB
	cpu    func(function string) (used time.Duration)

	mu      sync.Mutex
	printed *sync.Cond // some function has printed something
	tables  *tables
	used    map[string]capacity.Usage
	sent    map[string][]string      // messages
	item    int                      // bytes of what deliver put last, as it is stored
	open    map[string]int           // invocations whose last line has not come
	spent   map[string]time.Duration // of the processor, when it was last taken
	err     error                    // calls that can't be counted
}

func newMeter(template *localaws.Template) *meter {
	m := &meter{
		memory: make(map[string]float64), tables: newTables(nil), spent: make(map[string]time.Duration),
		used: make(map[string]capacity.Usage), sent: make(map[string][]string), open: make(map[string]int),
	}
	m.printed = sync.NewCond(&m.mu)
	for _, id := range template.Functions() {
		memory, _ := template.Resources[id].Properties["MemorySize"].(float64)
		m.memory[id] = memory / 1024
	}
	return m
}

func (m *meter) called(call localaws.Call) {
	if call.From == "" || call.ByAWS {
		return // an event source mapping's are counted by the batch
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var u capacity.Usage
	var err error
	switch call.Service {
	case "DynamoDB":
		u.Writes, u.Reads, err = m.tables.units(call)
		u.Partitions = m.tables.spread
		if call.From == "DeliverFunction" && call.Action == "PutItem" {
			m.item = read[struct{ Item attributes }](call.Request).Item.size() + itemOverhead
		}
	case "AmazonSQS":
		var batch []string
		for _, entry := range read[struct {
			Entries []struct{ MessageBody string }
		}](call.Request).Entries {
			batch = append(batch, entry.MessageBody)
		}
		u.SQS = chunks(batch)
		m.sent[call.From] = append(m.sent[call.From], batch...)
	case "TrentService":
		u.KMS = 1
	case "secretsmanager":
		u.Secret = 1
	default:
		err = fmt.Errorf("nobody knows what %s of %s costs", call.Action, call.Service)
	}
	m.used[call.From] = m.used[call.From].Plus(u)
	m.err = errors.Join(m.err, err)
}

// chunks are the requests that SQS bills for one with these messages: one for
// each 64 KiB.
func chunks(batch []string) float64 {
	size := 0
	for _, body := range batch {
		size += len(body)
	}
	return kilobytes(size, 64)
}

func (m *meter) invoked(i localaws.Invocation) {
	seconds := math.Ceil(float64(i.Duration.Microseconds())/1000) / 1000 // billed by the millisecond
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[i.Function]++
	m.used[i.Function] = m.used[i.Function].Plus(capacity.Usage{
		Invocations: 1, GBSeconds: seconds * m.memory[i.Function], Billed: seconds * 1000, LogBytes: platformLines + 3*lineOverhead,
	})
}

// log counts what a function prints.
func (m *meter) log(function string) io.Writer { return logWriter{m, function} }

type logWriter struct {
	meter    *meter
	function string
}

// Write takes whole lines: each is shorter than what a pipe takes at once.
func (w logWriter) Write(p []byte) (int, error) {
	m, lines := w.meter, bytes.Count(p, []byte("\n"))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used[w.function] = m.used[w.function].Plus(capacity.Usage{LogBytes: float64(len(p) - lines + lines*lineOverhead)})
	if last, prints := lastLine[w.function]; prints {
		m.open[w.function] -= bytes.Count(p, last)
	}
	m.printed.Broadcast()
	return len(p), nil
}

// take is what was used since it was last asked for, by function. It waits for
// what the invocations that have ended have printed: that comes through pipes,
// and may be late.
func (m *meter) take(ctx context.Context) (map[string]capacity.Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.printed.Broadcast()
	})()
	m.mu.Lock()
	defer m.mu.Unlock()
	for function, last := range lastLine {
		for m.open[function] > 0 && ctx.Err() == nil {
			m.printed.Wait()
		}
		if m.open[function] > 0 {
			return nil, fmt.Errorf("%s has not printed its last line, with %s: %w", function, last, ctx.Err())
		}
	}
	used := m.used
	for function := range used {
		if m.cpu == nil {
			break
		}
		now := m.cpu(function)
		used[function] = used[function].Plus(capacity.Usage{CPU: float64((now - m.spent[function]).Microseconds()) / 1000})
		m.spent[function] = now
	}
	m.used = make(map[string]capacity.Usage)
	return used, m.err
}

// during is what a function uses while do runs.
func (m *meter) during(ctx context.Context, function string, do func() error) (capacity.Usage, error) {
	if _, err := m.take(ctx); err != nil { // what was before
		return capacity.Usage{}, err
	}
	if err := do(); err != nil {
		return capacity.Usage{}, err
	}
	used, err := m.take(ctx)
	return used[function], err
}

// messages are those that a function has sent since they were last asked for.
func (m *meter) messages(function string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	sent := m.sent[function]
	m.sent[function] = nil
	return sent
}

// stored is the size of the record that deliver put last.
func (m *meter) stored() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.item
}
