package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
)

// eventType is what is published: a type that the driver defines, with a schema.
const eventType = "bench.order.placed"

// schema is of that type. An event is checked by it as those of users are by theirs.
const schema = `{"type":"object","required":["checksum","items","number"],"properties":{
	"checksum":{"type":"string","pattern":"^[0-9a-f]{8}$"},
	"number":{"type":"integer","minimum":0},
	"items":{"type":"array","items":{"type":"object","required":["amount","name","sku"],"properties":{
		"amount":{"type":"integer"},"name":{"type":"string"},"sku":{"type":"string"}}}}}}`

// variants is how many different lists of items there are.
const variants = 64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// itemsOf makes lists of items that have about so many bytes as JSON. They look like
// orders do: some of it repeats, and some does not.
func itemsOf(size int) [][]byte {
	words := [...]string{"anchor", "boathook", "cleat", "dinghy", "fender", "halyard", "jib", "keel", "lantern", "mooring", "oar", "paddle", "rope", "sail", "tiller", "winch"}
	random := rand.New(rand.NewPCG(1, 2)) // the same in each run
	lists := make([][]byte, variants)
	for i := range lists {
		list := []byte{'['}
		for len(list) < size-100 || len(list) == 1 {
			if len(list) > 1 {
				list = append(list, ',')
			}
			list = fmt.Appendf(list, `{"amount":%d,"name":"%s %s","sku":"%08X"}`, random.IntN(100_000),
				words[random.IntN(len(words))], words[random.IntN(len(words))], random.Uint32())
		}
		lists[i] = append(list, ']')
	}
	return lists
}

func checksum(number int, list []byte) string {
	sum := crc32.Update(0, castagnoli, strconv.AppendInt(nil, int64(number), 10))
	return fmt.Sprintf("%08x", crc32.Update(sum, castagnoli, list))
}

// content makes the requests of a run.
type content struct {
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
		b = fmt.Appendf(b, `{"source":%q,"type":%q,"data":{"checksum":%q,"items":%s,"number":%d}}`,
			c.source, eventType, checksum(number, list), list, number)
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
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return 0, err
	}
	d := event.Data
	if d.Number < 0 || event.Type != eventType || checksum(d.Number, d.Items) != d.Checksum {
		return 0, errors.New("the checksum is not that of the data")
	}
	return d.Number, nil
}
