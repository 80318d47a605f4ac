package store

import (
	"strconv"
	"time"

	"boathook/internal/boathook"
)

// DueRunRow is the row that has a run looked after at a time.
func DueRunRow(runID string, at time.Time) Due {
	return Due{At: at, ID: runID, Kind: DueRun}
}

// DueDeliveryRow is the row that has a delivery's attempt made at a time. What
// sweep sends then is in the payload.
func DueDeliveryRow(id boathook.DeliveryID, attempt int, at time.Time, payload []byte) Due {
	return Due{At: at, ID: id.String() + "#" + strconv.Itoa(attempt), Kind: DueDelivery, Payload: payload}
}
