package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"boathook/internal/capacity"
	"boathook/internal/testing/localaws"
)

const refused = `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}`

func TestUnitsFollowTheItems(t *testing.T) {
	item := func(size int, more string) string {
		return fmt.Sprintf(`{"pk":{"S":"p"},"sk":{"S":"s"},"b":{"S":%q}%s}`, strings.Repeat("x", size), more)
	}
	const (
		listed  = `,"parent":{"S":"a"},"place":{"S":"b"}`
		moved   = `,"parent":{"S":"a"},"place":{"S":"c"}`
		key     = `{"TableName":"t","Key":{"pk":{"S":"p"},"sk":{"S":"s"}}}`
		another = `{"TableName":"t","Key":{"pk":{"S":"p"},"sk":{"S":"other"}}}`
	)
	put := func(item string) string { return `{"TableName":"t","Item":` + item + `}` }
	made := func(item string) string { return `{"Attributes":` + item + `}` }
	for _, tc := range []struct {
		name     string
		before   string // what is there
		action   string
		request  string
		response string
		status   int
		writes   float64
		reads    float64
	}{
		{name: "a small item", action: "PutItem", request: put(item(100, "")), writes: 1},
		{name: "an item just over a kilobyte", action: "PutItem", request: put(item(1024, "")), writes: 2},
		{name: "an item in the index", action: "PutItem", request: put(item(100, listed)), writes: 2},
		{name: "an item with one of the index's keys", action: "PutItem", request: put(item(100, `,"parent":{"S":"a"}`)), writes: 1},
		{name: "a small item in a large one's place", before: item(2000, ""), action: "PutItem", request: put(item(10, "")), writes: 2},
		{name: "a copy leaves out what is large", action: "PutItem", request: put(item(5000, listed)), writes: 6},
		{name: "a copy that is large itself", action: "PutItem", request: put(item(10, listed+`,"status":{"S":"`+strings.Repeat("x", 1500)+`"}`)), writes: 4},

		{name: "an update of what the index has", before: item(10, listed), action: "UpdateItem", request: key,
			response: made(item(10, listed+`,"status":{"S":"ok"}`)), writes: 2},
		{name: "an update of what it has not", before: item(10, listed), action: "UpdateItem", request: key,
			response: made(item(10, listed+`,"lease":{"N":"1"}`)), writes: 1},
		{name: "an update to what was there", before: item(10, listed+`,"status":{"S":"ok"}`), action: "UpdateItem", request: key,
			response: made(item(10, listed+`,"status":{"S":"ok"}`)), writes: 1},
		{name: "an update of the place in the index", before: item(10, listed), action: "UpdateItem", request: key,
			response: made(item(10, moved)), writes: 3},
		{name: "an update that leaves the index", before: item(10, listed), action: "UpdateItem", request: key,
			response: made(item(10, "")), writes: 2},
		{name: "an update that enters the index", before: item(10, ""), action: "UpdateItem", request: key,
			response: made(item(10, listed)), writes: 2},
		{name: "an update costs the larger size", before: item(3000, ""), action: "UpdateItem", request: key,
			response: made(item(10, "")), writes: 3},

		{name: "a removal from both", before: item(10, listed), action: "DeleteItem", request: key, writes: 2},
		{name: "a removal of much", before: item(2500, ""), action: "DeleteItem", request: key, writes: 3},
		{name: "a removal of nothing", before: item(2500, ""), action: "DeleteItem", request: another, writes: 1},
		{name: "a batch of writes", before: item(2500, listed), action: "BatchWriteItem", writes: 5,
			request: `{"RequestItems":{"t":[{"DeleteRequest":{"Key":{"pk":{"S":"p"},"sk":{"S":"s"}}}},
				{"PutRequest":{"Item":{"pk":{"S":"p"},"sk":{"S":"new"}}}}]}}`},

		{name: "a condition that fails on an item", before: item(2500, listed), action: "PutItem", request: put(item(10, moved)),
			response: refused, status: 400, writes: 3},
		{name: "a condition that fails on none", action: "UpdateItem", request: another, response: refused, status: 400, writes: 1},
		{name: "a throttled write", action: "PutItem", request: put(item(10, "")), status: 400,
			response: `{"__type":"ProvisionedThroughputExceededException"}`},

		{name: "a consistent read", action: "GetItem", request: `{"TableName":"t","ConsistentRead":true}`,
			response: `{"Item":` + item(5000, "") + `}`, reads: 2},
		{name: "a read of a part", before: item(5000, ""), action: "GetItem", request: `{"TableName":"t"}`,
			response: `{"Item":{"pk":{"S":"p"},"sk":{"S":"s"}}}`, reads: 1},
		{name: "a read of nothing", action: "GetItem", request: `{"TableName":"t"}`, response: `{}`, reads: 0.5},
		{name: "a list is read as a whole", action: "Query", request: `{"TableName":"t","ConsistentRead":true}`,
			response: `{"Items":[` + item(3000, "") + `,` + item(3000, "") + `]}`, reads: 2},
		{name: "a list of parts", before: item(5000, ""), action: "Query", request: `{"TableName":"t"}`,
			response: `{"Items":[{"pk":{"S":"p"},"sk":{"S":"s"}}]}`, reads: 1},
		{name: "a list of an index's copies", before: item(5000, listed), action: "Query", request: `{"TableName":"t","IndexName":"i"}`,
			response: `{"Items":[{"pk":{"S":"p"},"sk":{"S":"s"}}]}`, reads: 0.5},
		{name: "an empty list", action: "Query", request: `{"TableName":"t"}`, response: `{"Items":[]}`, reads: 0.5},
		{name: "a batch is read one by one", action: "BatchGetItem", reads: 4,
			request:  `{"RequestItems":{"t":{"ConsistentRead":true,"Keys":[{},{},{}]}}}`,
			response: `{"Responses":{"t":[` + item(5000, "") + `]}}`},
		{name: "a batch of both kinds of reads", action: "BatchGetItem", reads: 2.5,
			request:  `{"RequestItems":{"t":{"ConsistentRead":true,"Keys":[{},{}]},"u":{"Keys":[{}]}}}`,
			response: `{"Responses":{}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newTables(map[string][]index{"t": {{keys: []string{"parent", "place"}, copied: []string{"status"}}}})
			if tc.before != "" {
				units(t, c, localaws.Call{Action: "PutItem", Request: []byte(put(tc.before)), Status: 200})
			}
			status := max(tc.status, 200)
			writes, reads, err := c.units(localaws.Call{Action: tc.action, Request: []byte(tc.request), Response: []byte(tc.response), Status: status})
			if err != nil || writes != tc.writes || reads != tc.reads {
				t.Errorf("%g writes and %g reads, %v; want %g and %g", writes, reads, err, tc.writes, tc.reads)
			}
		})
	}
}

func TestWhatDoesNotChangeAnItemLeavesItAsItWas(t *testing.T) {
	const small, large = `{"TableName":"t","Item":{"pk":{"S":"p"}}}`, `{"TableName":"t","Item":{"pk":{"S":"p"},"b":{"S":"%s"}}}`
	of5000 := fmt.Appendf(nil, large, strings.Repeat("x", 5000))
	for name, tc := range map[string]struct {
		before []byte
		call   localaws.Call
		want   float64
	}{
		"a refused write": {
			before: []byte(small),
			call:   localaws.Call{Action: "PutItem", Request: of5000, Response: []byte(refused), Status: 400},
			want:   1,
		},
		"an update that returns nothing": {
			before: of5000,
			call:   localaws.Call{Action: "UpdateItem", Request: []byte(`{"TableName":"t","Key":{"pk":{"S":"p"}}}`), Response: []byte(`{}`), Status: 200},
			want:   5,
		},
	} {
		c := newTables(nil)
		units(t, c, localaws.Call{Action: "PutItem", Request: tc.before, Status: 200})
		units(t, c, tc.call)
		if writes := units(t, c, localaws.Call{Action: "PutItem", Request: []byte(small), Status: 200}); writes != tc.want {
			t.Errorf("after %s a write costs %g, want %g", name, writes, tc.want)
		}
	}
}

// units are what a call writes.
func units(t *testing.T, c *tables, call localaws.Call) float64 {
	t.Helper()
	writes, _, err := c.units(call)
	if err != nil {
		t.Fatal(err)
	}
	return writes
}

func TestAnIndexOfEverythingCostsTheWholeItem(t *testing.T) {
	x := index{keys: []string{"place"}, whole: true}
	large := read[attributes]([]byte(`{"pk":{"S":"p"},"place":{"S":"a"},"b":{"S":"` + strings.Repeat("x", 2000) + `"}}`))
	if units := x.write(nil, large); units != 2 {
		t.Errorf("%g writes, want 2", units)
	}
}

func TestSizesAreThoseThatDynamoDBDocuments(t *testing.T) {
	for item, want := range map[string]int{
		`{"s":{"S":"é"}}`:                             1 + 2,
		`{"s":{"S":"a\u00e9\n"}}`:                     1 + 4,
		`{"n":{"N":"1772424000123"}}`:                 1 + 7 + 1,
		`{"n":{"N":"1772424000000"}}`:                 1 + 4 + 1,
		`{"n":{"N":"-0.250"}}`:                        1 + 1 + 1 + 1,
		`{"n":{"N":"0"}}`:                             1 + 1,
		`{"b":{"B":"AAAAAAAA"}}`:                      1 + 6,
		`{"b":{"B":"AAAAAA=="}}`:                      1 + 4,
		`{"ok":{"BOOL":true},"no":{"NULL":true}}`:     2 + 1 + 2 + 1,
		`{"l":{"L":[{"S":"ab"},{"N":"1"}]}}`:          1 + 3 + 1 + 2 + 1 + 2,
		`{"m":{"M":{"ip":{"S":"::1"},"n":{"L":[]}}}}`: 1 + 3 + 2 + 2 + 3 + 1 + 3,
	} {
		if got := read[attributes]([]byte(item)).size(); got != want {
			t.Errorf("%s: %d bytes, want %d", item, got, want)
		}
	}
}

func TestUnitsAreCountedByTheKindOfPartition(t *testing.T) {
	c := newTables(map[string][]index{"physical": {
		{name: "by-parent", keys: []string{"parent", "place"}},
		{keys: []string{"pk", "place"}}, // a local one
		{name: "active", keys: []string{"active", "place"}},
	}})
	c.names, c.workspaces = map[string]string{"physical": "records"}, map[string]bool{"w1": true}
	const run = `{"pk":{"S":"run#r1"},"sk":{"S":"head"},"parent":{"S":"runs#s1#3"},"place":{"S":"1"},"active":{"S":"s1#3"}}`
	for _, tc := range []struct {
		action, request, response string
		want                      capacity.Spread
	}{
		{"PutItem", `{"TableName":"physical","Item":` + run + `}`, "", capacity.Spread{
			"records run": {Writes: 2}, "by-parent runs": {Writes: 1}, "active source": {Writes: 1},
		}},
		{"DeleteItem", `{"TableName":"physical","Key":{"pk":{"S":"run#r1"},"sk":{"S":"head"}}}`, "", capacity.Spread{
			"records run": {Writes: 2}, "by-parent runs": {Writes: 1}, "active source": {Writes: 1},
		}},
		{"UpdateItem", `{"TableName":"physical","Key":{"pk":{"S":"stats#w1"},"sk":{"S":"1"}}}`, "", capacity.Spread{"records stats workspace": {Writes: 1}}},
		{"UpdateItem", `{"TableName":"physical","Key":{"pk":{"S":"stats#o1"},"sk":{"S":"1"}}}`, "", capacity.Spread{"records stats webhook": {Writes: 1}}},
		{"GetItem", `{"TableName":"physical","ConsistentRead":true,"Key":{"pk":{"S":"dlv#w1#0a#2"},"sk":{"S":"1"}}}`, "", capacity.Spread{"records dlv": {Reads: 1}}},
		{"Query", `{"TableName":"physical","KeyConditionExpression":"pk = :0 AND begins_with(sk, :1)","ExpressionAttributeValues":{":0":{"S":"src#s1"},":1":{"S":"out#"}}}`, "", capacity.Spread{"records src": {Reads: 0.5}}},
		{"Query", `{"TableName":"physical","IndexName":"by-workspace","KeyConditionExpression":"#0 = :0","ExpressionAttributeValues":{":0":{"S":"w1#deployment#3"}}}`, "", capacity.Spread{"by-workspace workspace": {Reads: 0.5}}},
		{"BatchGetItem", `{"RequestItems":{"physical":{"Keys":[{"pk":{"S":"run#r1"},"sk":{"S":"head"}},{"pk":{"S":"pin#r1"},"sk":{"S":"run"}}]}}}`,
			`{"Responses":{"physical":[` + run + `]}}`, capacity.Spread{"records run": {Reads: 0.5}, "records pin": {Reads: 0.5}}},
	} {
		units(t, c, localaws.Call{Action: tc.action, Request: []byte(tc.request), Response: []byte(tc.response), Status: 200})
		if diff := cmp.Diff(tc.want, c.spread); diff != "" {
			t.Errorf("%s %s\n%s", tc.action, tc.request, diff)
		}
	}
}
