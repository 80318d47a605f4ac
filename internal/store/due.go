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
// sweep sends then is in the payload. first is the attempt that the last resend before
// it began with, or 1. A retry and a resend may have one number and one time: they are
// two items, or the retry would stand in the resend's place and be dropped as outdated.
func ScheduledRetry(id boathook.DeliveryID, attempt, first int, at time.Time, payload []byte) Due {
	what := id.String() + "#" + strconv.Itoa(attempt)
	if first > 1 {
		what += "#" + strconv.Itoa(first)
	}
	return Due{At: at, ID: what, Kind: DueDelivery, Payload: payload}
}
