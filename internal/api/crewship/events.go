package crewship

import (
	"bytes"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// The types of a run's server-sent events.
const (
	eventStarted   = "run.started"
	eventCompleted = "run.completed"
	eventFailed    = "run.failed"
	eventLog       = "log"
	eventHeartbeat = "heartbeat"
	eventComplete  = "complete"
	eventError     = "error"
)

// maxEventBytes is about how long the log's part of one response may be, far
// below the 6 MB that Lambda allows.
const maxEventBytes = 1 << 20

const lastEventIDHeader = "Last-Event-ID"

// runEvents sends what there is of a run's events after the last that the
// client has. One response is not a stream: until the run is over and all is
// sent, it ends with "retry", and the client's reconnect carries on. A client
// that has all is answered 204, which stops it.
func (f face) runEvents(w http.ResponseWriter, c httpjson.Call) error {
	last := 0
	if s := c.Header.Get(lastEventIDHeader); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return boathook.InvalidField(lastEventIDHeader, "not the id of a run's event")
		}
		last = n
	}
	head, events, err := f.Runs.Events(c.Context(), c.Caller, c.PathValue("run"), last)
	if err != nil {
		return err
	}
	if events == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	var s eventStream
	complete, err := s.sendAll(head, events)
	switch {
	case err != nil:
		// An EventSource gives up for good on any status but 200: it is told,
		// and asks again.
		requestID := w.Header().Get(httpjson.RequestIDHeader)
		f.log.ErrorContext(c.Context(), "run's events broke off", "request_id", requestID, "run_id", head.ID, "error", err)
		s.send(0, eventError, map[string]string{"message": "the events can't be read for now", "request_id": requestID})
	case s.Len() == 0:
		s.send(0, eventHeartbeat, runStatus{head.ID, head.Status})
	}
	if !complete {
		s.retry()
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(s.Bytes())
	return nil
}

type startedEvent struct {
	RunID     string        `json:"run_id"`
	StartedAt boathook.Time `json:"started_at"`
}

type logEvent struct {
	Time   boathook.Time `json:"time"`
	Stream string        `json:"stream"`
	Text   string        `json:"text"`
}

// eventStream collects server-sent events.
type eventStream struct{ bytes.Buffer }

// sendAll adds the events of a run, until its log is too long for one response. It
// reports whether there are no more.
func (s *eventStream) sendAll(head boathook.RunHead, events iter.Seq2[service.RunEvent, error]) (complete bool, err error) {
	for e, err := range events {
		if err != nil {
			return false, err
		}
		switch e.Kind {
		case service.RunStarted:
			s.send(e.Number, eventStarted, startedEvent{head.ID, boathook.Time{Time: head.StartedAt}})
		case service.RunPrinted:
			if s.Len() >= maxEventBytes {
				return false, nil
			}
			s.send(e.Number, eventLog, logEvent{boathook.Time{Time: e.Line.Time}, e.Line.Stream, e.Line.Text})
		case service.RunEnded:
			kind := eventCompleted
			if e.Run.Status != boathook.RunSucceeded {
				kind = eventFailed
			}
			s.send(e.Number, kind, viewRun(e.Run))
		case service.RunComplete:
			s.send(e.Number, eventComplete, runStatus{head.ID, head.Status})
			complete = true
		}
	}
	return complete, nil
}

// send adds an event; one without an id (0) does not move the client on.
func (s *eventStream) send(id int, kind string, data any) {
	body, err := boathook.EncodeJSON(struct {
		Type string `json:"type"`
		Data any    `json:"data"`
	}{kind, data})
	if err != nil {
		panic(err) // strings, times and a stored run always encode
	}
	if id > 0 {
		fmt.Fprintf(s, "id: %d\n", id)
	}
	fmt.Fprintf(s, "data: %s\n\n", body)
}

// retry has the client ask again in a second.
func (s *eventStream) retry() { s.WriteString("retry: 1000\n\n") }
