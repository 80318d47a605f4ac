package dynamo

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// The config table. The local index by-place sorts what is listed in pages.
//
//	pk         sk         place                    item
//	ws#<ws>    workspace                           Workspace
//	ws#<ws>    tok#<id>   tok#<time>#<id>          Token, to be listed
//	ws#<ws>    src#<id>   src#<kind>#<time>#<id>   Source, to be listed
//	tok#<hash> token                               Token, to be found
//	src#<src>  source                              Source
//	src#<src>  live                                liveItem
//	src#<src>  ver#<id>   ver#<number>#<id>        Version
//	src#<src>  in#<id>                             IncomingWebhook
//	src#<src>  out#<id>                            OutgoingWebhook, without its Health
//
// The records table. The sparse index by-parent sorts a source's runs by their
// creation, those that are active apart from those that are over, and a webhook's
// failed deliveries by their events' times.
//
//	pk                       sk              parent              place       item
//	run#<run>                head            active#<src>, <src> <time>#<id> headItem
//	run#<run>                input#<hash>                                    textItem
//	run#<run>                output#<hash>                                   textItem
//	run#<run>                log#<line>                                      textItem
//	req#<in>                 rejected#<slot>                                 requestItem
//	req#<in>                 other#<slot>                                    requestItem
//	evt#<ws>#<id>            pin                                             pinItem
//	load#<agent>             load                                            loadItem
//	health#<out>             health                                          healthItem
//	dlv#<ws>#<tag>#<shard>   <delivery>      failed#<ws>#<out>   <delivery>  deliveryItem
//	att#<delivery>           <number>                                        attemptItem
//	due#<shard>              <time>#<id>                                     dueItem
//	slot#<out>               <interval>                                      slotItem
//	lease#<name>             <place>                                         leaseItem
//	conn#<connection>        connection                                      connectionItem
//	watch#<ws>               <connection>                                    connectionItem
//	part#<pk>#<sk>           <number>                                        textItem: what did not fit into pk, sk
//
// Times are 13 digits of Unix milliseconds. The key of an input or output holds
// its hash, and the run's head says which hashes are its own: a write that lost
// its race is never seen. A delivery's keys follow from its workspace and its
// id; parent and place are set only while it is failed.
const (
	pkAttr     = "pk"
	skAttr     = "sk"
	parentAttr = "parent"
	placeAttr  = "place"

	byPlace  = "by-place"
	byParent = "by-parent"

	// TTLAttribute of the records table is when an item expires, in epoch
	// seconds. DynamoDB deletes days late: until then it is filtered on read.
	TTLAttribute = "x"
)

// projected is what the index by-parent knows besides keys: what lists of runs
// select by, and what lists of deliveries show. Nothing in it changes with a
// run's heartbeat.
var projected = []string{"s", "e", "x", "ws", "so", "w", "i", "t", "n", "u"}

// deliveryShards is how many partitions one webhook's deliveries are spread
// over. It is part of their keys: never change it.
const deliveryShards = 4

// key is an item's primary key.
type key struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`
}

func workspaceKey(id string) key { return key{"ws#" + id, "workspace"} }

func tokenKey(hash [32]byte) key                { return key{"tok#" + hex.EncodeToString(hash[:]), "token"} }
func listedTokenKey(workspaceID, id string) key { return key{"ws#" + workspaceID, "tok#" + id} }

func sourceKey(id string) key                    { return key{"src#" + id, "source"} }
func listedSourceKey(workspaceID, id string) key { return key{"ws#" + workspaceID, "src#" + id} }

func liveKey(sourceID string) key         { return key{"src#" + sourceID, "live"} }
func versionKey(sourceID, id string) key  { return key{"src#" + sourceID, "ver#" + id} }
func incomingKey(sourceID, id string) key { return key{"src#" + sourceID, "in#" + id} }
func outgoingKey(sourceID, id string) key { return key{"src#" + sourceID, "out#" + id} }

func healthKey(webhookID string) key { return key{"health#" + webhookID, "health"} }

const runPartition = "run#"

func headKey(runID string) key { return key{runPartition + runID, "head"} }

func inputKey(runID string, hash []byte) key {
	return key{runPartition + runID, "input#" + hex.EncodeToString(hash)}
}

func outputKey(runID string, hash []byte) key {
	return key{runPartition + runID, "output#" + hex.EncodeToString(hash)}
}

const logLines = "log#"

func logKey(runID string, line int) key {
	return key{runPartition + runID, fmt.Sprintf("%s%09d", logLines, line)}
}

func requestKey(webhookID string, outcome boathook.RequestOutcome, slot int) key {
	ring := "other"
	if outcome == boathook.RequestRejected {
		ring = "rejected"
	}
	return key{requestsPartition(webhookID), fmt.Sprintf("%s#%03d", ring, slot)}
}

func requestsPartition(webhookID string) string { return "req#" + webhookID }

func pinKey(workspaceID, id string) key { return key{"evt#" + workspaceID + "#" + id, "pin"} }

func loadKey(agentID string) key { return key{"load#" + agentID, "load"} }

func deliveryKey(workspaceID string, id boathook.DeliveryID) key {
	return key{deliveriesPartition(workspaceID, id.Tag(), id.Shard(deliveryShards)), id.String()}
}

func deliveriesPartition(workspaceID string, tag uint32, shard int) string {
	return fmt.Sprintf("dlv#%s#%08x#%d", workspaceID, tag, shard)
}

func attemptKey(id boathook.DeliveryID, number int) key {
	return key{"att#" + id.String(), fmt.Sprintf("%06d", number)}
}

func dueKey(d store.Due) key {
	h := fnv.New32a()
	h.Write([]byte(d.ID))
	return key{duePartition(int(h.Sum32() % store.DueShards)), position(d.At, d.ID)}
}

func slotKey(webhookID string, interval time.Duration) key {
	return key{"slot#" + webhookID, fmt.Sprintf("%010d", interval.Microseconds())}
}

func leaseKey(name string, place int) key { return key{"lease#" + name, fmt.Sprintf("%04d", place)} }

func duePartition(shard int) string { return fmt.Sprintf("due#%02d", shard) }

func connectionKey(id string) key { return key{"conn#" + id, "connection"} }

func watcherKey(workspaceID, id string) key { return key{"watch#" + workspaceID, id} }

func partKey(of key, number int) key {
	return key{"part#" + of.PK + "#" + of.SK, fmt.Sprintf("%04d", number)}
}

// Parents, for the index by-parent.

func activeParent(sourceID string) string { return "active#" + sourceID }

// An update that ends a run copies its source's id to be its parent.
func overParent(sourceID string) string { return sourceID }

func failedParent(workspaceID, webhookID string) string {
	return "failed#" + workspaceID + "#" + webhookID
}

// Prefixes of places, for the index by-place. A position follows.

const (
	tokenPlaces   = "tok#"
	versionPlaces = "ver#"
)

func sourcePlaces(kind boathook.SourceKind) string { return "src#" + string(kind) + "#" }

// position is where an object stands in a list that is sorted by time.
func position(at time.Time, id string) string { return numbered(at.UnixMilli(), id) }

func numbered(n int64, id string) string { return fmt.Sprintf("%013d#%s", n, id) }

// isPosition reports whether s may be of [position] or [numbered].
func isPosition(s string) bool {
	digits, id, ok := strings.Cut(s, "#")
	return ok && len(digits) == 13 && strings.Trim(digits, "0123456789") == "" && isID(id)
}

func isID(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-#") == ""
}

// isDeliveryID reports whether s stands for a position among deliveries.
func isDeliveryID(s string) bool {
	_, err := boathook.ParseDeliveryID(s)
	return err == nil
}
