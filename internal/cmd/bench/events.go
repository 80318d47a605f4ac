package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
)

// The kinds of sources that events are published of.
const (
	ofCustomer = "customer" // with a type that the driver defines, and a feed that keeps each event
	ofApp      = "app"      // with a type of the catalogue, and no feed
)

// The types of events, by the kind of source.
const (
	orderPlaced = "bench.order.placed"
	jobFinished = "job_finished"
)

// jobFields are what an event [jobFinished] must have besides what the driver needs.
const jobFields = `"appBuildId":null,"appDeploymentId":null,"appId":"bench","canceledAt":null,"canceledBy":null,"finishedAt":1771143284003,` +
	`"inProgressAt":1771143275311,"inProgressTimeInSeconds":8,"organizationId":"bench","pendingAt":1771143256381,"pendingTimeInSeconds":18,` +
	`"queuedAt":null,"queueTimeInSeconds":null,"status":"succeeded","totalTimeInSeconds":27,"createdAt":1771143256161`

// schema is of [orderPlaced]. An event is checked by it as those of users are by theirs.
const schema = `{"type":"object","required":["checksum","items","number"],"properties":{
	"checksum":{"type":"string","pattern":"^[0-9a-f]{8}$"},
	"number":{"type":"integer","minimum":0},
	"items":{"type":"array","items":{"type":"object","required":["amount","name","sku"],"properties":{
		"amount":{"type":"integer"},"name":{"type":"string"},"sku":{"type":"string"}}}}}}`

// variants is how many different lists of items there are.
const variants = 64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// itemsFor makes lists of items for data of about so many bytes. They look like orders
// do: some of it repeats, and some does not. For customers they are JSON, for apps a text.
func itemsFor(kind string, size int) [][]byte {
	own, quote := 50, []byte(`"`) // what the data have besides
	if kind == ofApp {
		own, quote = 50+len(jobFields), nil
	}
	words := [...]string{"anchor", "boathook", "cleat", "dinghy", "fender", "halyard", "jib", "keel", "lantern", "mooring", "oar", "paddle", "rope", "sail", "tiller", "winch"}
	random := rand.New(rand.NewPCG(1, 2)) // the same in each run
	lists := make([][]byte, variants)
	for i := range lists {
		list := []byte{'['}
		for len(list) < size-own-25 || len(list) == 1 {
			if len(list) > 1 {
				list = append(list, ',')
			}
			list = fmt.Appendf(list, `{"amount":%d,"name":"%s %s","sku":"%08X"}`, random.IntN(100_000),
				words[random.IntN(len(words))], words[random.IntN(len(words))], random.Uint32())
		}
		lists[i] = bytes.ReplaceAll(append(list, ']'), []byte(`"`), quote)
	}
	return lists
}

func checksum(number int, list []byte) string {
	sum := crc32.Update(0, castagnoli, strconv.AppendInt(nil, int64(number), 10))
	return fmt.Sprintf("%08x", crc32.Update(sum, castagnoli, list))
}

// content makes the requests of a run.
type content struct {
	kind   string // of the source
	source string
	batch  int
	items  [][]byte
}

// append appends the body of the request that publishes a batch of events, of which the
// first has a number.
func (c content) append(b []byte, first int) []byte {
	if c.batch > 1 {
		b = append(b, `{"events":[`...)
	}
	for number := first; number < first+c.batch; number++ {
		if number > first {
			b = append(b, ',')
		}
		list := c.items[number%len(c.items)]
		if c.kind == ofApp {
			b = fmt.Appendf(b, `{"source":%q,"type":%q,"data":{"id":"%d","stack":"%s","createdBy":%q,%s}}`,
				c.source, jobFinished, number, list, checksum(number, list), jobFields)
			continue
		}
		b = fmt.Appendf(b, `{"source":%q,"type":%q,"data":{"checksum":%q,"items":%s,"number":%d}}`,
			c.source, orderPlaced, checksum(number, list), list, number)
	}
	if c.batch > 1 {
		b = append(b, "]}"...)
	}
	return b
}

// numberOf reads which event a webhook's body is about. Its error says that the data is
// not what was published, byte for byte.
func numberOf(body []byte) (int, error) {
	var event struct {
		Type string `json:"type"`
		Data struct {
			Checksum string          `json:"checksum"`
			Items    json.RawMessage `json:"items"`
			Number   int             `json:"number"`

			ID        string `json:"id"`
			Stack     string `json:"stack"`
			CreatedBy string `json:"createdBy"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return 0, err
	}
	d := event.Data
	if event.Type == jobFinished {
		number, err := strconv.Atoi(d.ID)
		if err != nil {
			return 0, err
		}
		d.Number, d.Items, d.Checksum = number, []byte(d.Stack), d.CreatedBy
	}
	if d.Number < 0 || checksum(d.Number, d.Items) != d.Checksum {
		return 0, errors.New("the checksum is not that of the data")
	}
	return d.Number, nil
}
