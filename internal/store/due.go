package store

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
)

// Shard is the shard of the item, which follows from its id.
func (d Due) Shard() int {
	h := fnv.New32a()
	h.Write([]byte(d.ID))
	return int(h.Sum32() % DueShards)
}

// ScheduledCheck is the item that has a run checked at a time.
func ScheduledCheck(runID string, at time.Time) Due {
	return Due{At: at, ID: runID, Kind: DueRun}
}

// ScheduledStart is the item that has a pending run's message sent at a time. A run may
// have a check at the same time, so its id is not all of this one's.
func ScheduledStart(runID string, at time.Time) Due {
	return Due{At: at, ID: runID + "#start", Kind: DueStart}
}

// ScheduledLine is the item that has the line of a deployment's runs looked at.
func ScheduledLine(workspaceID, sourceID string, at time.Time) Due {
	return Due{At: at, ID: sourceID + lineSuffix, Kind: DueLine, Payload: []byte(workspaceID)}
}

const lineSuffix = "#line"

// LineOf is the deployment and its workspace that an item of [ScheduledLine] is about.
func (d Due) LineOf() (workspaceID, sourceID string) {
	return string(d.Payload), strings.TrimSuffix(d.ID, lineSuffix)
}

// RunID is the run that a scheduled item of the kind [DueRun] or [DueStart] is about.
func (d Due) RunID() string { return strings.TrimSuffix(d.ID, "#start") }

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
