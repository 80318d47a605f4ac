package main

import (
	"bytes"
	"io"
	"math"
	"sync"

	"boathook/internal/cloud"
)

// What Lambda and the HTTP API write to their logs by themselves, in bytes:
// START, END and REPORT of an invocation, and a line of the access log.
const (
	platformLines = 70 + 51 + 142
	accessLine    = 260
	lineOverhead  = 26  // what CloudWatch adds to each line
	itemOverhead  = 100 // what DynamoDB adds to each item
)

// meter counts what a stack uses, by function.
type meter struct {
	memory map[string]float64 // in GB

	mu       sync.Mutex
	capacity *capacity
	used     map[string]usage
	sent     map[string][]string // messages
	item     int                 // bytes of what deliver put last, as it is stored
}

func (m *meter) called(call cloud.Call) {
	if call.From == "" || call.ByAWS {
		return // an event source mapping's are counted by the batch
	}
	var u usage
	switch call.Service {
	case "DynamoDB":
		m.mu.Lock()
		u.Writes, u.Reads = m.capacity.units(call)
		if call.From == "DeliverFunction" && call.Action == "PutItem" {
			m.item = read[struct{ Item attributes }](call.Request).Item.size() + itemOverhead
		}
		m.mu.Unlock()
	case "AmazonSQS":
		var batch []string
		for _, entry := range read[struct {
			Entries []struct{ MessageBody string }
		}](call.Request).Entries {
			batch = append(batch, entry.MessageBody)
		}
		u.SQS = chunks(batch)
		m.mu.Lock()
		m.sent[call.From] = append(m.sent[call.From], batch...)
		m.mu.Unlock()
	case "TrentService":
		u.KMS = 1
	case "secretsmanager":
		u.Secret = 1
	}
	m.add(call.From, u)
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

func (m *meter) invoked(i cloud.Invocation) {
	seconds := math.Ceil(float64(i.Duration.Microseconds())/1000) / 1000 // billed by the millisecond
	m.add(i.Function, usage{
		Invocations: 1, GBSeconds: seconds * m.memory[i.Function], LogBytes: platformLines + 3*lineOverhead,
	})
}

func (m *meter) add(function string, u usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used[function] = m.used[function].plus(u)
}

// log counts what a function prints.
func (m *meter) log(function string) io.Writer { return logWriter{m, function} }

type logWriter struct {
	meter    *meter
	function string
}

func (w logWriter) Write(p []byte) (int, error) {
	lines := bytes.Count(p, []byte("\n"))
	w.meter.add(w.function, usage{LogBytes: float64(len(p) - lines + lines*lineOverhead)})
	return len(p), nil
}

// take is what was used since it was last asked for.
func (m *meter) take() map[string]usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	used := m.used
	m.used = make(map[string]usage)
	return used
}

// messages are those that a function has sent since they were last asked for.
func (m *meter) messages(function string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	sent := m.sent[function]
	m.sent[function] = nil
	return sent
}
