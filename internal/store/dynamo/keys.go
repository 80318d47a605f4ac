package dynamo

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// The config table. The local index by-place sorts what is listed in pages.
//
//	pk         sk         place                    item
//	ws#<ws>    workspace                           workspaceItem
//	workspaces <ws>       ws#<time>#<ws>           listedWorkspaceItem
//	ws#<ws>    tok#<id>   tok#<time>#<id>          tokenItem, to be listed
//	ws#<ws>    src#<id>   src#<kind>#<time>#<id>   sourceItem, to be listed; of an agent: src#agent#<crew>#<time>#<id>
//	ws#<ws>    slug#<crew>#<slug>                  nameItem: of an agent
//	ws#<ws>    ext#<external id>                   nameItem: of a customer
//	types#<ws> type#<name>                         eventTypeItem
//	tok#<hash> token                               tokenItem, to be found
//	src#<src>  source                              sourceItem
//	src#<src>  live                                liveItem
//	src#<src>  ver#<id>   ver#<number>#<id>        versionItem
//	src#<src>  in#<id>                             incomingItem
//	src#<src>  out#<id>                            outgoingItem
//
// The records table. The sparse index by-parent sorts a source's runs by their
// creation, a webhook's deliveries that have not succeeded by their events' times,
// those of each status apart, and the chunks of an agent's log, and the runs that one
// delivery of a sender has started, by the runs' creation.
//
//	pk                       sk              parent              place       item
//	run#<run>                head            runs#<src>#<shard>  <time>#<id> headItem
//	run#<run>                input#<hash>    sent#<ws>#<hash of the sender's id>
//	                                                             <time>#<run> inputItem; without a parent if there is no such id
//	run#<run>                output#<hash>                                   textItem
//	run#<run>                log#<line>      log#<agent>         <time>#<run>#<line>
//	                                                                         chunkItem; without a parent unless it is of an agent
//	req#<in>                 rejected#<slot>                                 requestItem
//	req#<in>                 other#<slot>                                    requestItem
//	evt#<ws>#<id>            pin                                             pinItem
//	feed#<src>               counter                                         counterItem: never expires
//	feed#<src>#<page>        <position>                                      feedItem
//	fed#<src>#<event>        mark                                            markItem
//	pin#<run>                run                                             pinnedRunItem
//	load#<agent>             load                                            loadItem
//	health#<out>             health                                          healthItem
//	backlog#<src>            backlog                                         backlogItem
//	burst#<in>               <key>                                           burstItem
//	turn#<src>               taken                                           turnsItem
//	turn#<src>               wait#<time>#<run>                               waitingItem
//	dlv#<ws>#<tag>#<shard>   <delivery>      <status>#<ws>#<out>#<shard>
//	                                                             <delivery>  deliveryItem
//	entered#<ws>#<shard>     <delivery>#<hash>                               enteredItem: that delivery, and lesser ids of its millisecond
//	att#<delivery>           <number>                                        attemptItem
//	stats#<out>              <time>                                          an hour's counts; see statistics.go
//	due#<shard>              <time>#<id>                                     dueItem
//	slot#<out>               <interval>                                      slotItem
//	lease#<name>             <place>                                         leaseItem
//	conn#<connection>        connection                                      connectionItem
//	watch#<ws>               <connection>                                    connectionItem: a watcher of the log
//	watch#<ws>#deliveries    <connection>                                    connectionItem: a watcher of deliveries
//	part#<pk>#<sk>           <number>                                        textItem: what did not fit into pk, sk
//
// Two more indexes have the same places: by-workspace has the runs of a workspace's
// deployments, or of its agents, and its deliveries that have not succeeded; active has the
// runs of a source that are not over.
//
//	pk                       sk              workspace           active
//	run#<run>                head            <ws>#<kind>#<shard> <src>#<shard>, until it is over
//	dlv#<ws>#<tag>#<shard>   <delivery>      dlv#<ws>#<shard>, until it has succeeded
//
// Times are 13 digits of Unix milliseconds. The key of an input or output holds
// its hash, and the run's head says which hashes are its own: a write that lost
// its race is never seen. A delivery's keys follow from its workspace and its
// id; parent, workspace and place are set only while it is retrying, failed or canceled.
const (
	pkAttr     = "pk"
	skAttr     = "sk"
	parentAttr = "parent"
	placeAttr  = "place"

	workspaceAttr = "workspace"
	activeAttr    = "active"

	byPlace     = "by-place"
	byParent    = "by-parent"
	byWorkspace = "by-workspace"
	activeRuns  = "active"

	// TTLAttribute of the records table is when an item expires, in epoch
	// seconds. DynamoDB deletes days late: until then it is filtered on read.
	TTLAttribute = "x"
)

// runColumns are what the indexes know of a run besides keys: what its lists
// select by, and which texts a page of them reads. Nothing in it changes with a
// claim or a heartbeat.
var runColumns = []string{"s", "e", "x", "ws", "so", "w", "ih", "il", "oh", "ol"}

// projected is what the index by-parent knows besides keys: that, and what lists
// of deliveries show.
var projected = append(slices.Clone(runColumns), "i", "t", "n", "u", "er", "l", "z", "k")

// runShards is how many partitions of an index the runs of one source, or of one
// workspace, are spread over. It is part of their keys: never change it.
const runShards = 4

// deliveryShards is how many partitions one webhook's deliveries are spread
// over, in the table and, for each status, in the index by-parent. It is part of
// their keys: never change it.
const deliveryShards = 4

// key is an item's primary key.
type key struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`
}

// Ids come from outside, and may be anything. Where one is no id, the part of the
// key that it would be in is empty, which no item's is: so an id can't reach
// another item by a "#" in it, nor be longer than DynamoDB takes. [guarded]
// answers requests for such keys.

// part is a part of a key: what it begins with, and the ids behind that, with
// "#" between them.
func part(begin string, ids ...string) string {
	for _, id := range ids {
		if !boathook.IsID(id) {
			return ""
		}
	}
	return begin + strings.Join(ids, "#")
}

// foreign is an id that others have chosen. It may hold a "#", and so comes last
// in its part of a key.
func foreign(id string) string {
	if !boathook.IsForeignID(id) {
		return ""
	}
	return id
}

// joined puts pieces of a part together; it is empty if one of them is.
func joined(pieces ...string) string {
	if slices.Contains(pieces, "") {
		return ""
	}
	return strings.Join(pieces, "")
}

// isNone reports whether no item can have the key.
func (k key) isNone() bool { return k.PK == "" || k.SK == "" }

func workspaceKey(id string) key       { return key{part("ws#", id), "workspace"} }
func listedWorkspaceKey(id string) key { return key{workspacesPartition, part("", id)} }

const workspacesPartition = "workspaces"

func tokenKey(hash [32]byte) key { return key{"tok#" + hex.EncodeToString(hash[:]), "token"} }
func listedTokenKey(workspaceID, id string) key {
	return key{workspaceKey(workspaceID).PK, part("tok#", id)}
}

func sourceKey(id string) key { return key{part("src#", id), "source"} }
func listedSourceKey(workspaceID, id string) key {
	return key{workspaceKey(workspaceID).PK, part("src#", id)}
}

func slugKey(workspaceID, crewID, slug string) key {
	return key{workspaceKey(workspaceID).PK, part("slug#", crewID, slug)}
}

func externalKey(workspaceID, externalID string) key {
	return key{workspaceKey(workspaceID).PK, joined("ext#", foreign(externalID))}
}

// The types of events are no part of what makes a workspace one that is not empty, and
// so not in its partition.
func eventTypesPartition(workspaceID string) string { return part("types#", workspaceID) }

func eventTypeKey(workspaceID string, name boathook.EventType) key {
	return key{eventTypesPartition(workspaceID), joined(eventTypes, foreign(string(name)))}
}

const eventTypes = "type#"

// nameKey is where it lies which source has the name that no other may have: an
// agent's slug or a customer's external id. Not named: the source has none.
func nameKey(s boathook.Source) (k key, named bool) {
	switch {
	case s.Agent != nil:
		return slugKey(s.WorkspaceID, s.Agent.CrewID, s.Agent.Slug), true
	case s.Customer != nil && s.Customer.ExternalID != "":
		return externalKey(s.WorkspaceID, s.Customer.ExternalID), true
	}
	return key{}, false
}

// Below a source, in its partition, sort keys begin with what it is.
const (
	incomingWebhooks = "in#"
	outgoingWebhooks = "out#"
)

func liveKey(sourceID string) key        { return key{sourceKey(sourceID).PK, "live"} }
func versionKey(sourceID, id string) key { return key{sourceKey(sourceID).PK, part("ver#", id)} }
func incomingKey(sourceID, id string) key {
	return key{sourceKey(sourceID).PK, part(incomingWebhooks, id)}
}
func outgoingKey(sourceID, id string) key {
	return key{sourceKey(sourceID).PK, part(outgoingWebhooks, id)}
}

func healthKey(webhookID string) key { return key{part("health#", webhookID), "health"} }

func backlogKey(sourceID string) key { return key{part("backlog#", sourceID), "backlog"} }

// burstOf is of the newest burst of a key.
func burstOf(webhookID, burst string) key { return key{part("burst#", webhookID), part("", burst)} }

// turnsKey sorts before the keys of the line.
func turnsKey(sourceID string) key { return key{part("turn#", sourceID), "taken"} }

const waitingPlaces = "wait#"

func waitingKey(sourceID string, w store.Waiting) key {
	return key{turnsKey(sourceID).PK, joined(waitingPlaces, position(w.At, ""), part("", w.RunID))}
}

const runPartition = "run#"

func headKey(runID string) key { return key{part(runPartition, runID), "head"} }

func inputKey(runID string, hash []byte) key {
	return key{headKey(runID).PK, "input#" + hex.EncodeToString(hash)}
}

func outputKey(runID string, hash []byte) key {
	return key{headKey(runID).PK, "output#" + hex.EncodeToString(hash)}
}

const logLines = "log#"

func logKey(runID string, line int) key {
	return key{headKey(runID).PK, fmt.Sprintf("%s%09d", logLines, line)}
}

// chunkPlace is where a chunk stands in its agent's log.
func chunkPlace(run boathook.RunHead, line int) string {
	return fmt.Sprintf("%s#%09d", position(run.CreatedAt, run.ID), line)
}

func requestKey(webhookID string, outcome boathook.RequestOutcome, slot int) key {
	ring := "other"
	if outcome == boathook.RequestRejected {
		ring = "rejected"
	}
	return key{requestsPartition(webhookID), fmt.Sprintf("%s#%03d", ring, slot)}
}

func requestsPartition(webhookID string) string { return part("req#", webhookID) }

func pinKey(workspaceID, id string) key {
	return key{joined(part("evt#", workspaceID), "#", foreign(id)), "pin"}
}

func feedCounterKey(sourceID string) key { return key{part("feed#", sourceID), "counter"} }

// feedKey is of a position, in the partition of its page.
func feedKey(sourceID string, position int64) key {
	return key{joined(part("feed#", sourceID), fmt.Sprintf("#%010d", position/feedPageSize)), fmt.Sprintf("%015d", position)}
}

// feedPosition is the position that a [feedKey] is of.
func feedPosition(k key) int64 {
	n, _ := strconv.ParseInt(k.SK, 10, 64) // it was written by feedKey
	return n
}

// feedPageEnd is the last position in the partition of one.
func feedPageEnd(position int64) int64 { return position - position%feedPageSize + feedPageSize - 1 }

func feedMarkKey(sourceID, eventID string) key {
	return key{joined(part("fed#", sourceID), "#", foreign(eventID)), "mark"}
}

func pinnedRunKey(id string) key { return key{part("pin#", id), "run"} }

func loadKey(agentID string) key { return key{part("load#", agentID), "load"} }

func deliveryKey(workspaceID string, id boathook.DeliveryID) key {
	return key{deliveriesPartition(workspaceID, id.Tag(), id.Shard(deliveryShards)), id.String()}
}

func deliveriesPartition(workspaceID string, tag uint32, shard int) string {
	return joined(part("dlv#", workspaceID), fmt.Sprintf("#%08x#%d", tag, shard))
}

// enteredKey is of deliveries that were entered together, of which one has the greatest id.
// The same ones have the same key, others have another.
func enteredKey(workspaceID string, greatest boathook.DeliveryID, entries []byte) key {
	sum := sha256.Sum256(entries)
	return key{enteredPartition(workspaceID, greatest.Shard(deliveryShards)), greatest.String() + "#" + hex.EncodeToString(sum[:4])}
}

func enteredPartition(workspaceID string, shard int) string {
	return joined(part("entered#", workspaceID), fmt.Sprintf("#%d", shard))
}

// statisticsKey is of an hour, by its beginning.
func statisticsKey(webhookID string, hour time.Time) key {
	return key{part("stats#", webhookID), fmt.Sprintf("%013d", max(hour.UnixMilli(), 0))}
}

// sentParent is of the runs that a delivery has started, by its sender's own id, which may
// be any text.
func sentParent(workspaceID, deliveryID string) string {
	sum := sha256.Sum256([]byte(deliveryID))
	return joined(part("sent#", workspaceID), "#"+hex.EncodeToString(sum[:16]))
}

// webhookPartition holds a shard of a webhook's deliveries, and those of others
// that have its tag.
func webhookPartition(workspaceID, webhookID string, shard int) string {
	if !boathook.IsID(webhookID) {
		return ""
	}
	return deliveriesPartition(workspaceID, boathook.WebhookTag(webhookID), shard)
}

func attemptKey(id boathook.DeliveryID, number int) key {
	return key{"att#" + id.String(), fmt.Sprintf("%06d", number)}
}

// What is due has an id that is made of others, or a connection's.
func dueKey(d store.Due) key {
	return key{duePartition(d.Shard()), joined(position(d.At, ""), foreign(d.ID))}
}

// dueAfter is the position behind which the rows after one stand: at a time
// alone, before all rows of that time.
func dueAfter(d store.Due) string { return cmp.Or(dueKey(d).SK, position(d.At, "")) }

func slotKey(webhookID string, interval time.Duration) key {
	return key{part("slot#", webhookID), fmt.Sprintf("%010d", interval.Microseconds())}
}

func leaseKey(name string, place int) key {
	return key{joined("lease#", foreign(name)), fmt.Sprintf("%04d", place)}
}

func duePartition(shard int) string { return fmt.Sprintf("due#%02d", shard) }

func connectionKey(id string) key { return key{joined("conn#", foreign(id)), "connection"} }

func watcherKey(workspaceID string, ch boathook.Channel, id string) key {
	return key{watchersPartition(workspaceID, ch), foreign(id)}
}

// watchersPartition has the watchers of a channel. Those of the log came first, and
// have no suffix.
func watchersPartition(workspaceID string, ch boathook.Channel) string {
	if ch == boathook.LogChannel {
		return part("watch#", workspaceID)
	}
	return part("watch#", workspaceID, string(ch))
}

func partKey(of key, number int) key {
	return key{joined("part#", of.PK, "#", of.SK), fmt.Sprintf("%04d", number)}
}

// shardOf spreads ids evenly over n partitions.
func shardOf(id string, n int) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % uint32(n))
}

// Partitions of the indexes.

func runsParent(sourceID string, shard int) string {
	return joined(part("runs#", sourceID), fmt.Sprintf("#%d", shard))
}

func workspaceRuns(workspaceID string, kind boathook.SourceKind, shard int) string {
	return joined(part("", workspaceID), fmt.Sprintf("#%s#%d", kind, shard))
}

func activeOf(sourceID string, shard int) string {
	return joined(part("", sourceID), fmt.Sprintf("#%d", shard))
}

func agentLogParent(agentID string) string { return part(logLines, agentID) }

// statusParent is of a webhook's deliveries of a status other than succeeded.
func statusParent(status boathook.DeliveryStatus, workspaceID, webhookID string, shard int) string {
	return joined(part(string(status)+"#", workspaceID, webhookID), fmt.Sprintf("#%d", shard))
}

// parentOf is a delivery's, by its status. It is empty for one that succeeded: so
// many do that the index would cost as much as the deliveries themselves.
func parentOf(d boathook.Delivery) string {
	if d.Status == boathook.DeliverySucceeded {
		return ""
	}
	return statusParent(d.Status, d.WorkspaceID, d.WebhookID, d.ID.Shard(deliveryShards))
}

// unsucceededOf is where a delivery that has a [parentOf] is in the index by-workspace. Its
// status is no part of it: so lists of any statuses are four, and a change of it is no move.
func unsucceededOf(d boathook.Delivery) string {
	if d.Status == boathook.DeliverySucceeded {
		return ""
	}
	return unsucceededIn(d.WorkspaceID, d.ID.Shard(deliveryShards))
}

// unsucceededIn is of a workspace's deliveries that have not succeeded.
func unsucceededIn(workspaceID string, shard int) string {
	return joined(part("dlv#", workspaceID), fmt.Sprintf("#%d", shard))
}

// Prefixes of places, for the index by-place. A position follows.

const (
	workspacePlaces = "ws#"
	tokenPlaces     = "tok#"
	versionPlaces   = "ver#"
)

func sourcePlaces(kind boathook.SourceKind) string { return "src#" + string(kind) + "#" }

func agentPlaces(crewID string) string { return sourcePlaces(boathook.Agent) + crewID + "#" }

// sourcePlace is where a source is listed.
func sourcePlace(s boathook.Source) string {
	places := sourcePlaces(s.Kind)
	if s.Agent != nil {
		places = agentPlaces(s.Agent.CrewID)
	}
	return places + position(s.CreatedAt, s.ID)
}

// position is where an object stands in a list that is sorted by time.
func position(at time.Time, id string) string { return numbered(at.UnixMilli(), id) }

func numbered(n int64, id string) string { return fmt.Sprintf("%013d#%s", n, id) }

// positioned reads a [position]; false if it is none.
func positioned(place string) (at time.Time, id string, ok bool) {
	millis, id, _ := strings.Cut(place, "#")
	n, err := strconv.ParseInt(millis, 10, 64)
	return time.UnixMilli(n).UTC(), id, err == nil
}

// isPosition reports whether s may be of [position] or [numbered].
func isPosition(s string) bool {
	digits, id, ok := strings.Cut(s, "#")
	return ok && len(digits) == 13 && strings.Trim(digits, "0123456789") == "" && boathook.IsID(id)
}

// isDeliveryID reports whether s stands for a position among deliveries.
func isDeliveryID(s string) bool {
	_, err := boathook.ParseDeliveryID(s)
	return err == nil
}
