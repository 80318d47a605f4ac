package store

import (
	"strconv"
	"time"

	"boathook/internal/boathook"
)

// ScheduledCheck is the item that has a run checked at a time.
func ScheduledCheck(runID string, at time.Time) Due {
	return Due{At: at, ID: runID, Kind: DueRun}
}

// ScheduledRetry is the item that has a delivery's attempt made at a time. What
// sweep sends then is in the payload.
func ScheduledRetry(id boathook.DeliveryID, attempt int, at time.Time, payload []byte) Due {
	return Due{At: at, ID: id.String() + "#" + strconv.Itoa(attempt), Kind: DueDelivery, Payload: payload}
}
