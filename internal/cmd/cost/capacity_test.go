package main

import (
	"fmt"
	"strings"
	"testing"

	"boathook/internal/cloud"
)

func TestUnitsFollowTheItems(t *testing.T) {
	item := func(size int, more string) string {
		return fmt.Sprintf(`{"pk":{"S":"p"},"sk":{"S":"s"},"b":{"S":%q}%s}`, strings.Repeat("x", size), more)
	}
	const indexed = `,"parent":{"S":"a"},"place":{"S":"b"}`
	key := `"TableName":"t","Key":{"pk":{"S":"p"},"sk":{"S":"s"}}`
	for _, tc := range []struct {
		name, action, request, response string
		writes, reads                   float64
	}{
		{"a small item", "PutItem", `{"TableName":"t","Item":` + item(100, "") + `}`, "", 1, 0},
		{"an item just over a kilobyte", "PutItem", `{"TableName":"t","Item":` + item(1024, "") + `}`, "", 2, 0},
		{"an item in the index", "PutItem", `{"TableName":"t","Item":` + item(100, indexed) + `}`, "", 2, 0},
		{"an update of what the index has", "UpdateItem", `{` + key + `,"UpdateExpression":"SET #s = :s","ExpressionAttributeNames":{"#s":"status"},"ExpressionAttributeValues":{":s":{"S":"ok"}}}`, "", 2, 0},
		{"an update of what it has not", "UpdateItem", `{` + key + `,"UpdateExpression":"SET lease = :l","ExpressionAttributeValues":{":l":{"N":"1"}}}`, "", 1, 0},
		{"a removal from both", "DeleteItem", `{` + key + `}`, "", 2, 0},
		{"a consistent read", "GetItem", `{"TableName":"t","ConsistentRead":true}`, `{"Item":` + item(5000, "") + `}`, 0, 2},
		{"a read of nothing", "GetItem", `{"TableName":"t"}`, `{}`, 0, 0.5},
		{"a list is read as a whole", "Query", `{"TableName":"t","ConsistentRead":true}`, `{"Items":[` + item(3000, "") + `,` + item(3000, "") + `]}`, 0, 2},
		{"a batch is read one by one", "BatchGetItem", `{"RequestItems":{"t":{"ConsistentRead":true,"Keys":[{},{},{}]}}}`, `{"Responses":{"t":[` + item(5000, "") + `]}}`, 0, 4},
		{"another action", "DescribeTable", `{"TableName":"t"}`, `{}`, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCapacity(map[string][]index{"t": {{keys: []string{"parent", "place"}, copied: []string{"status"}}}})
			c.units(cloud.Call{Action: "PutItem", Request: []byte(`{"TableName":"t","Item":` + item(10, indexed) + `}`), Status: 200})
			writes, reads := c.units(cloud.Call{Action: tc.action, Request: []byte(tc.request), Response: []byte(tc.response), Status: 200})
			if writes != tc.writes || reads != tc.reads {
				t.Errorf("%g writes and %g reads, want %g and %g", writes, reads, tc.writes, tc.reads)
			}
		})
	}
}

func TestANumberTakesAByteForTwoDigits(t *testing.T) {
	a := attributes{"n": {"N": []byte(`"1772424000123"`)}, "b": {"B": []byte(`"AAAAAAAA"`)}, "s": {"S": []byte(`"é"`)}}
	if got, want := a.size(), 1+8+1+6+1+2; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}
