package store

import (
	"encoding/json"
	"fmt"
	"time"

	"boathook/internal/boathook"
)

// DueAttempt is a delivery's attempt that waits in a [DueDelivery] row. The
// body is not in it: the delivery's record has it.
type DueAttempt struct {
	DeliveryID  boathook.DeliveryID `json:"-"`
	WorkspaceID string              `json:"w"`
	Attempt     int                 `json:"a"`
	Series      int                 `json:"f"` // the attempt at which the retry schedule (re)started
}

// Row is the row that waits until at.
func (a DueAttempt) Row(at time.Time) Due {
	payload, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return Due{At: at, ID: fmt.Sprintf("%s#%d", a.DeliveryID, a.Attempt), Kind: DueDelivery, Payload: payload}
}

// ParseDueAttempt reads a row of [DueAttempt.Row].
func ParseDueAttempt(d Due) (a DueAttempt, err error) {
	if err := json.Unmarshal(d.Payload, &a); err != nil {
		return a, fmt.Errorf("due row %s: %w", d.ID, err)
	}
	if len(d.ID) < 36 {
		return a, fmt.Errorf("due row %s: no delivery id", d.ID)
	}
	if a.DeliveryID, err = boathook.ParseDeliveryID(d.ID[:36]); err != nil {
		return a, fmt.Errorf("due row %s: %w", d.ID, err)
	}
	return a, nil
}

// DueRunRow is the row that has a run looked after at a time.
func DueRunRow(runID string, at time.Time) Due {
	return Due{At: at, ID: runID, Kind: DueRun}
}
