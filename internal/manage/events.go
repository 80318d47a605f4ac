package manage

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
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

// The ids of a run's events follow from the run, so that each response says
// the same: run.started is 1, the log's line k (from 0) is k+2, run.completed
// or run.failed is the number of lines + 2, complete the number of lines + 3.
const (
	startedID   = 1
	firstLineID = 2
)

// maxEventBytes is about how long the log's part of one response may be, far
// below the 6 MB that Lambda allows.
const maxEventBytes = 1 << 20

const lastEventIDHeader = "Last-Event-ID"

// runEvents sends what there is of a run's events after the last that the
// client has. One response is not a stream: until the run is over and all is
// sent, it ends with "retry", and the client's reconnect carries on. A client
// that has all is answered 204, which stops it.
func (h *Handler) runEvents(w http.ResponseWriter, c call) error {
	last := 0
	if s := c.Header.Get(lastEventIDHeader); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return boathook.InvalidField(lastEventIDHeader, "not the id of a run's event")
		}
		last = n
	}
	head, err := h.runHead(c.Context(), c)
	if err != nil {
		return err
	}
	if head.Status.Over() && last >= firstLineID+head.LogLines+1 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	var s eventStream
	if err := h.writeEvents(c.Context(), &s, head, last); err != nil {
		// An EventSource gives up for good on any status but 200: it is told,
		// and asks again.
		requestID := w.Header().Get(httpjson.RequestIDHeader)
		h.cfg.Log.ErrorContext(c.Context(), "run's events broke off", "request_id", requestID, "run_id", head.ID, "error", err)
		s.send(0, eventError, map[string]string{"message": "the events can't be read for now", "request_id": requestID})
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

type statusEvent struct {
	RunID  string             `json:"run_id"`
	Status boathook.RunStatus `json:"status"`
}

// writeEvents writes those after last.
func (h *Handler) writeEvents(ctx context.Context, s *eventStream, head boathook.RunHead, last int) error {
	if last < startedID && !head.StartedAt.IsZero() {
		s.send(startedID, eventStarted, startedEvent{head.ID, boathook.Time{Time: head.StartedAt}})
	}
	next := max(last+1-firstLineID, 0) // the log's next line
	first, lines, err := h.cfg.Store.Log(ctx, head.ID, next, maxEventBytes)
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", head.ID, err)
	}
	lines = lines[min(max(next-first, 0), len(lines)):]
	if head.Status.Over() {
		lines = lines[:min(len(lines), max(head.LogLines-next, 0))]
	}
	for _, l := range lines {
		if s.Len() >= maxEventBytes {
			break
		}
		s.send(firstLineID+next, eventLog, logEvent{boathook.Time{Time: l.Time}, l.Stream, l.Text})
		next++
	}
	// A log that has no more lines, though the run says so, must not hold the
	// client for ever.
	atEnd := next >= head.LogLines || len(lines) == 0
	if !head.Status.Over() || !atEnd {
		if s.Len() == 0 {
			s.send(0, eventHeartbeat, statusEvent{head.ID, head.Status})
		}
		s.retry()
		return nil
	}
	outcomeID := firstLineID + head.LogLines
	if last < outcomeID && head.Status != boathook.RunCanceled {
		run, err := h.cfg.Store.Run(ctx, head.WorkspaceID, head.ID)
		if err != nil {
			return fmt.Errorf("read run %s: %w", head.ID, err)
		}
		outcome := eventCompleted
		if run.Status != boathook.RunSucceeded {
			outcome = eventFailed
		}
		s.send(outcomeID, outcome, run)
	}
	s.send(outcomeID+1, eventComplete, statusEvent{head.ID, head.Status})
	return nil
}

// eventStream collects server-sent events.
type eventStream struct{ bytes.Buffer }

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
