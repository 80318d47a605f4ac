package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"boathook/internal/capacity"
	"boathook/internal/testing/localaws"
)

// value is an attribute's as DynamoDB's protocol writes it: its type, and what
// is of that type.
type value map[string]json.RawMessage

// attributes is an item, or a key.
type attributes map[string]value

// size is an item's as DynamoDB counts it, in bytes: names and values.
func (a attributes) size() (bytes int) {
	for name, v := range a {
		bytes += len(name) + v.size()
	}
	return bytes
}

func (v value) size() (bytes int) {
	for kind, raw := range v {
		switch kind {
		case "S":
			bytes += len(read[string](raw))
		case "B":
			text := read[string](raw)
			bytes += base64.StdEncoding.DecodedLen(len(text)) - strings.Count(text, "=")
		case "N": // without zeros before and after; a sign is about another byte
			text := read[string](raw)
			digits := strings.Trim(strings.Replace(strings.TrimPrefix(text, "-"), ".", "", 1), "0")
			bytes += (len(digits)+1)/2 + 1 + strings.Count(text, "-")
		case "L":
			bytes += 3
			for _, element := range read[[]value](raw) {
				bytes += 1 + element.size()
			}
		case "M":
			elements := read[attributes](raw)
			bytes += 3 + len(elements) + elements.size()
		default: // a truth value, or none; the store has no sets
			bytes++
		}
	}
	return bytes
}

// read is what JSON of the SDK's or of an emulator says: if it is not of the
// type, nothing.
func read[T any](raw json.RawMessage) (v T) {
	_ = json.Unmarshal(raw, &v)
	return v
}

// index is a secondary index: what an item needs to be in it, and what is
// copied to it besides its keys.
type index struct {
	name   string // of a global one; a local one's entries are in the table's own partitions
	keys   []string
	copied []string
	whole  bool // everything is copied
}

// entry is an item's copy; nil if the item is not in the index.
func (x index) entry(item attributes) attributes {
	if slices.ContainsFunc(x.keys, func(name string) bool { return item[name] == nil }) {
		return nil
	}
	if x.whole {
		return item
	}
	entry := make(attributes)
	for _, name := range slices.Concat([]string{"pk", "sk"}, x.keys, x.copied) {
		if v, ok := item[name]; ok {
			entry[name] = v
		}
	}
	return entry
}

// write is what it costs to bring the copy of an item up to date: nothing if
// that has not changed, and twice if its place has, where one copy is deleted
// and another is put.
func (x index) write(before, after attributes) (units float64) {
	was, is := x.entry(before), x.entry(after)
	switch {
	case reflect.DeepEqual(was, is):
		return 0
	case was != nil && is != nil && slices.ContainsFunc(x.keys, func(k string) bool { return !reflect.DeepEqual(was[k], is[k]) }):
		return kilobytes(was.size(), 1) + kilobytes(is.size(), 1)
	}
	return kilobytes(max(was.size(), is.size()), 1)
}

// readTables are the tables of a stack, with their secondary indexes.
func readTables(c *localaws.Cloud, template *localaws.Template) (*tables, error) {
	found := newTables(make(map[string][]index))
	found.names = make(map[string]string)
	for id, r := range template.Resources {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		name, err := c.Ref(id)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(r.Properties)
		if err != nil {
			return nil, err
		}
		found.names[name] = strings.ToLower(strings.TrimSuffix(id, "Table"))
		type definition struct {
			IndexName  string
			KeySchema  []struct{ AttributeName string }
			Projection struct {
				ProjectionType   string
				NonKeyAttributes []string
			}
		}
		var table struct{ GlobalSecondaryIndexes, LocalSecondaryIndexes []definition }
		if err := json.Unmarshal(text, &table); err != nil {
			return nil, err
		}
		for i, d := range append(table.GlobalSecondaryIndexes, table.LocalSecondaryIndexes...) {
			x := index{copied: d.Projection.NonKeyAttributes, whole: d.Projection.ProjectionType == "ALL"}
			if i < len(table.GlobalSecondaryIndexes) {
				x.name = d.IndexName
			}
			for _, k := range d.KeySchema {
				x.keys = append(x.keys, k.AttributeName)
			}
			found.indexes[name] = append(found.indexes[name], x)
		}
	}
	return found, nil
}

// tables count the units of DynamoDB's requests, and where they go. The emulators don't
// count indexes, so the items that are written are remembered.
type tables struct {
	names      map[string]string  // by how DynamoDB knows them
	indexes    map[string][]index // by table
	workspaces map[string]bool    // their ids
	items      map[string]attributes
	spread     capacity.Spread // of one call
}

func newTables(indexes map[string][]index) *tables {
	return &tables{indexes: indexes, items: make(map[string]attributes)}
}

// units are what a call costs: writes in whole units, reads in halves. Calls
// that are refused cost nothing, but for a condition that does not hold. Nor do
// they cost more for a condition, or for what they return. The error is of an
// action that is not counted yet, such as a transaction. It is a switch with a case for
// each action.
func (c *tables) units(call localaws.Call) (writes, reads float64, err error) {
	var in struct {
		TableName      string
		IndexName      string
		Item, Key      attributes
		ConsistentRead bool
		RequestItems   map[string]json.RawMessage

		KeyConditionExpression    string
		ExpressionAttributeValues attributes
	}
	var out struct {
		Item, Attributes attributes
		Items            []attributes
		Responses        map[string][]attributes
	}
	c.spread = make(capacity.Spread)
	_ = json.Unmarshal(call.Request, &in) // what it has not costs nothing
	_ = json.Unmarshal(call.Response, &out)
	if call.Status != http.StatusOK {
		if bytes.Contains(call.Response, []byte("ConditionalCheckFailedException")) {
			id := in.Key
			if in.Item != nil {
				id = in.Item
			}
			writes = kilobytes(c.items[key(in.TableName, id)].size(), 1)
			c.count(c.names[in.TableName], id["pk"], writes, 0)
		}
		return writes, 0, nil
	}
	switch call.Action {
	case "PutItem":
		return c.write(in.TableName, in.Item, in.Item), 0, nil
	case "UpdateItem": // the store asks for what an update has made, or changes no size and no index
		made := out.Attributes
		if made == nil {
			made = c.items[key(in.TableName, in.Key)]
		}
		return c.write(in.TableName, in.Key, made), 0, nil
	case "DeleteItem":
		return c.write(in.TableName, in.Key, nil), 0, nil
	case "BatchWriteItem":
		for table, raw := range in.RequestItems {
			for _, r := range read[[]struct {
				PutRequest    struct{ Item attributes }
				DeleteRequest struct{ Key attributes }
			}](raw) {
				if item := r.PutRequest.Item; item != nil {
					writes += c.write(table, item, item)
				} else {
					writes += c.write(table, r.DeleteRequest.Key, nil)
				}
			}
		}
		return writes, 0, nil
	case "GetItem":
		reads = kilobytes(c.whole(in.TableName, out.Item).size(), 4) * share(in.ConsistentRead)
		c.count(c.names[in.TableName], in.Key["pk"], 0, reads)
		return 0, reads, nil
	case "Query": // rounded up once, for all
		size := 0
		for _, item := range out.Items {
			if in.IndexName == "" {
				item = c.whole(in.TableName, item)
			}
			size += item.size()
		}
		reads = kilobytes(size, 4) * share(in.ConsistentRead)
		of := c.names[in.TableName]
		if in.IndexName != "" {
			of = in.IndexName
		}
		_, operand, _ := strings.Cut(in.KeyConditionExpression, "=") // the partition's comes first
		c.count(of, in.ExpressionAttributeValues[strings.Fields(operand + " ?")[0]], 0, reads)
		return 0, reads, nil
	case "BatchGetItem": // each rounded up, and those that are absent too
		for table, raw := range in.RequestItems {
			r := read[struct {
				Keys           []attributes
				ConsistentRead bool
			}](raw)
			read := func(id attributes, units float64) {
				units *= share(r.ConsistentRead)
				c.count(c.names[table], id["pk"], 0, units)
				reads += units
			}
			found := make(map[string]bool)
			for _, item := range out.Responses[table] {
				found[key(table, item)] = true
				read(item, kilobytes(c.whole(table, item).size(), 4))
			}
			absent := len(r.Keys) - len(found)
			for _, k := range r.Keys {
				if absent > 0 && !found[key(table, k)] {
					read(k, 1)
					absent--
				}
			}
		}
		return 0, reads, nil
	}
	return 0, 0, fmt.Errorf("nobody knows what %s of DynamoDB costs", call.Action)
}

// write costs the larger of what an item was and what it is, and its copies.
func (c *tables) write(table string, id, after attributes) float64 {
	name := key(table, id)
	before := c.items[name]
	if c.items[name] = after; after == nil {
		delete(c.items, name)
	}
	units := kilobytes(max(before.size(), after.size()), 1)
	c.count(c.names[table], id["pk"], units, 0)
	for _, x := range c.indexes[table] {
		copied := x.write(before, after)
		units += copied
		switch entry := x.entry(after); {
		case copied == 0:
		case x.name == "":
			c.count(c.names[table], id["pk"], copied, 0)
		case entry == nil:
			c.count(x.name, before[x.keys[0]], copied, 0)
		default: // and also where it was, if its place has changed: that is most often the same partition
			c.count(x.name, entry[x.keys[0]], copied, 0)
		}
	}
	return units
}

// count notes units of one call for the kind of the partition that they go to.
func (c *tables) count(of string, partition value, writes, reads float64) {
	kind := of + " " + c.kind(of, read[string](partition["S"]))
	before := c.spread[kind]
	c.spread[kind] = capacity.Units{Writes: before.Writes + writes, Reads: before.Reads + reads}
}

// kind is what a partition's key begins with. Where that is an id, and with statistics,
// whose key has no other word, it is whose id it is. The keys are those of package dynamo.
func (c *tables) kind(of, partition string) string {
	first, rest, _ := strings.Cut(partition, "#")
	switch {
	case of == "active":
		return "source"
	case c.workspaces[first]:
		return "workspace"
	case first == "stats" && c.workspaces[rest]:
		return "stats workspace"
	case first == "stats":
		return "stats webhook"
	}
	return first
}

// whole is an item of which a read may have returned a part: all of it is paid for.
func (c *tables) whole(table string, item attributes) attributes {
	if known, ok := c.items[key(table, item)]; ok && item != nil {
		return known
	}
	return item
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
