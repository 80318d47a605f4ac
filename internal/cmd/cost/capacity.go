package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"boathook/internal/cloud"
)

// attributes is an item, or a key, as DynamoDB's protocol writes it.
type attributes map[string]map[string]json.RawMessage

// size is an item's as DynamoDB counts it: names and values in bytes, a number
// about one byte for two digits and one more.
func (a attributes) size() (bytes int) {
	for name, value := range a {
		bytes += len(name)
		for kind, raw := range value {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				bytes += len(raw) // a list, a map, a truth value: about its JSON
				continue
			}
			switch kind {
			case "N":
				bytes += (len(text)+1)/2 + 1
			case "B":
				bytes += len(text) / 4 * 3
			default:
				bytes += len(text)
			}
		}
	}
	return bytes
}

// index is a secondary index: what an item needs to be in it, and what is
// copied to it.
type index struct {
	keys   []string
	copied []string // nil: everything
}

// capacity counts the units of DynamoDB's requests. The emulators don't count
// indexes, so it follows the items that are written.
type capacity struct {
	indexes map[string][]index // by table
	items   map[string]attributes
}

func newCapacity(indexes map[string][]index) *capacity {
	return &capacity{indexes: indexes, items: make(map[string]attributes)}
}

type request struct {
	TableName                 string
	Item, Key                 attributes
	UpdateExpression          string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues attributes
	ConsistentRead            bool
	RequestItems              map[string]json.RawMessage
}

// units are what a call costs: writes in whole units, reads in halves.
func (c *capacity) units(call cloud.Call) (writes, reads float64) {
	var in request
	var out struct {
		Item      attributes
		Items     []attributes
		Responses map[string][]attributes
	}
	_ = json.Unmarshal(call.Request, &in) // what it has not costs nothing
	_ = json.Unmarshal(call.Response, &out)
	switch call.Action {
	case "PutItem":
		return c.put(in.TableName, in.Item, call.Status), 0
	case "UpdateItem":
		return c.update(in, call.Status), 0
	case "DeleteItem":
		id := key(in.TableName, in.Key)
		item := c.items[id]
		delete(c.items, id)
		return kilobytes(item.size(), 1) + c.indexed(in.TableName, item, nil), 0
	case "BatchWriteItem":
		for table, raw := range in.RequestItems {
			var requests []struct{ PutRequest struct{ Item attributes } }
			_ = json.Unmarshal(raw, &requests)
			for _, r := range requests {
				writes += c.put(table, r.PutRequest.Item, call.Status)
			}
		}
		return writes, 0
	case "GetItem":
		return 0, kilobytes(out.Item.size(), 4) * share(in.ConsistentRead)
	case "Query":
		bytes := 0
		for _, item := range out.Items {
			bytes += item.size()
		}
		return 0, kilobytes(bytes, 4) * share(in.ConsistentRead)
	case "BatchGetItem":
		for _, raw := range in.RequestItems {
			var r struct {
				Keys           []attributes
				ConsistentRead bool
			}
			_ = json.Unmarshal(raw, &r)
			reads += float64(len(r.Keys)) * share(r.ConsistentRead)
		}
		for _, items := range out.Responses {
			for _, item := range items {
				reads += kilobytes(item.size(), 4) - 1 // each has been counted as one
			}
		}
		return 0, reads
	}
	return 0, 0
}

func (c *capacity) put(table string, item attributes, status int) float64 {
	if status == 200 {
		c.items[key(table, item)] = item
	}
	return kilobytes(item.size(), 1) + c.indexed(table, item, nil)
}

var assigned = regexp.MustCompile(`[#\w.]+`)

// update costs the whole item, and an index's copy where what is copied changes.
func (c *capacity) update(in request, status int) float64 {
	id := key(in.TableName, in.Key)
	item := make(attributes)
	maps.Copy(item, c.items[id])
	maps.Copy(item, in.Key)
	var names []string
	for _, word := range assigned.FindAllString(in.UpdateExpression, -1) {
		if name, ok := in.ExpressionAttributeNames[word]; ok {
			word = name
		}
		names = append(names, word)
	}
	for name, value := range in.ExpressionAttributeValues { // about what it adds
		item[strings.TrimPrefix(name, ":")] = value
	}
	if status == 200 && c.items[id] == nil {
		c.items[id] = item
	}
	return kilobytes(item.size(), 1) + c.indexed(in.TableName, item, names)
}

// indexed is what an item's copies in indexes cost; changed are the attributes
// that an update writes, or nil if it is the whole item.
func (c *capacity) indexed(table string, item attributes, changed []string) (units float64) {
	for _, x := range c.indexes[table] {
		inside := !slices.ContainsFunc(x.keys, func(k string) bool { return item[k] == nil })
		touched := changed == nil || x.copied == nil ||
			slices.ContainsFunc(changed, func(name string) bool { return slices.Contains(x.copied, name) || slices.Contains(x.keys, name) })
		if inside && touched {
			units++ // the copies are small
		}
	}
	return units
}

func key(table string, item attributes) string {
	return fmt.Sprintf("%s %s %s", table, item["pk"]["S"], item["sk"]["S"])
}

// kilobytes is a size in whole units of n KiB, at least one.
func kilobytes(bytes, n int) float64 {
	return float64(max(1, (bytes+n<<10-1)/(n<<10)))
}

func share(consistent bool) float64 {
	if consistent {
		return 1
	}
	return 0.5
}
