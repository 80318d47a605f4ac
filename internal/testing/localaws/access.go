package localaws

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"boathook/internal/boathook"
)

// Access is what a call needs its function's role to allow.
type Access struct {
	Action      string // such as "sqs:SendMessage"
	Resource    string // an ARN
	LeadingKeys []string
	Attributes  []string // that an UpdateItem names
	Returns     []string // what an item's change is to return, if it says so
}

// iamService is a service's name in IAM, where that is not its own.
var iamService = map[string]string{"DynamoDB": "dynamodb", "AmazonSQS": "sqs", "TrentService": "kms"}

// iamAction is what IAM calls an action of a service, where that is not its own
// name.
var iamAction = map[string]string{
	"SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage", "Invoke": "InvokeFunction",
	"PostToConnection": "ManageConnections", "GetConnection": "ManageConnections", "DeleteConnection": "ManageConnections",
}

// Accesses are what a call needs its function's role to allow: all of them.
func (d *Cloud) Accesses(c Call) ([]Access, error) {
	service := cmp.Or(iamService[c.Service], c.Service)
	action := service + ":" + cmp.Or(iamAction[c.Action], c.Action)
	switch service {
	case "dynamodb":
		return d.tableAccesses(action, c.Request)
	case managementService: // an ARN is the path, with the method in it
		stage, path, _ := strings.Cut(c.Path, "/@")
		arn := fmt.Sprintf("arn:aws:execute-api:%s:%s:%s/%s/@%s", region, account, strings.TrimPrefix(stage, "/"), c.Method, path)
		return []Access{{Action: action, Resource: arn}}, nil
	case "lambda":
		return []Access{{Action: action, Resource: invokedARN(c)}}, nil
	case "bedrock-agentcore": // needs both
		arn := invokedARN(c)
		return []Access{{Action: action, Resource: arn}, {Action: action, Resource: arn + "/runtime-endpoint/DEFAULT"}}, nil
	}
	var on struct{ QueueURL, SourceARN, KeyID, SecretID string } // one of them
	if err := json.Unmarshal(c.Request, &on); err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	if arn := d.allowedQueue(on.QueueURL); arn != "" {
		return []Access{{Action: action, Resource: arn}}, nil
	}
	_, r, err := d.named(on.QueueURL + on.SourceARN + on.KeyID + on.SecretID)
	return []Access{{Action: action, Resource: r.arn()}}, err
}

// allowedQueue is the ARN of the queue at a URL, if the stack's parameter names it and
// it is none of the stack's own.
func (d *Cloud) allowedQueue(url string) string {
	for arn := range strings.SplitSeq(d.config.Parameters["AllowedQueueArns"], ",") {
		if q, ok := boathook.ParseQueueARN(arn); ok && strings.HasSuffix(url, "/"+q.Account+"/"+q.Name) {
			return arn
		}
	}
	return ""
}

// named is the resource that a reference or an ARN stands for, with its logical
// id.
func (d *Cloud) named(name string) (id string, r resource, err error) {
	for id, r := range d.resolver.made {
		if r.ref == name || r.arn() == name {
			return id, r, nil
		}
	}
	return "", resource{}, fmt.Errorf("%q is none of the stack's resources", name)
}

// attributes are an item's, or a key's, as DynamoDB's protocol writes them.
type attributes map[string]struct{ S string }

// tableAccesses are what a request to DynamoDB needs. The shape of the request decides
// how its table and its keys are found; the shapes are read here in turn.
func (d *Cloud) tableAccesses(action string, request []byte) (accesses []Access, err error) {
	var in struct {
		TableName, IndexName      string
		Key, Item                 attributes
		KeyConditionExpression    string
		ExpressionAttributeValues attributes
		RequestItems              map[string]json.RawMessage

		UpdateExpression, ConditionExpression string
		ExpressionAttributeNames              map[string]string
		ReturnValues                          string
	}
	if err := json.Unmarshal(request, &in); err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	for table, batch := range in.RequestItems {
		items, err := batched(batch)
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", action, table, err)
		}
		arn, partition, err := d.partitioned(table, "")
		if err != nil {
			return nil, err
		}
		a := Access{Action: action, Resource: arn}
		for _, item := range items {
			a.LeadingKeys = append(a.LeadingKeys, item[partition].S)
		}
		accesses = append(accesses, a)
	}
	if in.RequestItems != nil {
		return accesses, nil
	}
	arn, partition, err := d.partitioned(in.TableName, in.IndexName)
	if err != nil {
		return nil, err
	}
	key := in.Key[partition].S + in.Item[partition].S // one of them
	for _, m := range equality.FindAllStringSubmatch(in.KeyConditionExpression, -1) {
		if m[1] == partition {
			key = in.ExpressionAttributeValues[m[2]].S
		}
	}
	if key == "" {
		return nil, fmt.Errorf("%s on %s names no %s: %s", action, in.TableName, partition, request)
	}
	a := Access{Action: action, Resource: arn, LeadingKeys: []string{key}}
	if in.UpdateExpression != "" {
		a.Attributes = slices.Collect(maps.Keys(in.Key))
		for _, path := range paths.FindAllString(in.UpdateExpression+" "+in.ConditionExpression, -1) {
			name, _, _ := strings.Cut(path, ".")
			if name[0] != ':' && !slices.Contains(words, name) {
				a.Attributes = append(a.Attributes, cmp.Or(in.ExpressionAttributeNames[name], name))
			}
		}
		slices.Sort(a.Attributes)
		a.Attributes = slices.Compact(a.Attributes)
	}
	if in.ReturnValues != "" {
		a.Returns = []string{in.ReturnValues}
	}
	return []Access{a}, nil
}

// paths are those in an expression, with its words and values.
var paths = regexp.MustCompile(`[:#]?\w+(?:\.#?\w+)*`)

// words are what an expression has besides names.
var words = []string{
	"SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "IN", "BETWEEN",
	"attribute_exists", "attribute_not_exists", "if_not_exists", "size",
}

// equality is what a key condition asks of an attribute.
var equality = regexp.MustCompile(`\b(\w+) = (:\w+)`)

// partitioned is the ARN of a table or of one of its indexes, and the attribute
// that it is partitioned by.
func (d *Cloud) partitioned(table, index string) (arn, partition string, err error) {
	_, r, err := d.named(table)
	if err != nil {
		return "", "", err
	}
	arn = r.arn()
	if index != "" {
		arn += "/index/" + index
	}
	partition, ok := d.partitions[arn]
	if !ok {
		return "", "", fmt.Errorf("table %s has no index %s", table, index)
	}
	return arn, partition, nil
}

// readPartitions reads which attributes the tables and their indexes are
// partitioned by, once for all calls.
func (d *Cloud) readPartitions() error {
	d.partitions = make(map[string]string)
	for _, id := range d.resolver.resources("AWS::DynamoDB::Table") {
		type keys struct {
			IndexName string
			KeySchema []struct{ AttributeName, KeyType string }
		}
		var p struct {
			keys
			LocalSecondaryIndexes, GlobalSecondaryIndexes []keys
		}
		if err := d.resolver.properties(id, &p); err != nil {
			return err
		}
		table, err := d.resolver.resource(id)
		if err != nil {
			return err
		}
		for _, k := range slices.Concat([]keys{p.keys}, p.LocalSecondaryIndexes, p.GlobalSecondaryIndexes) {
			arn := table.arn()
			if k.IndexName != "" {
				arn += "/index/" + k.IndexName
			}
			for _, key := range k.KeySchema {
				if key.KeyType == "HASH" {
					d.partitions[arn] = key.AttributeName
				}
			}
		}
	}
	return nil
}

// batched are the keys or items of a request's part about one table:
// BatchGetItem's or BatchWriteItem's.
func batched(batch []byte) (items []attributes, err error) {
	var reads struct{ Keys []attributes }
	if json.Unmarshal(batch, &reads) == nil {
		return reads.Keys, nil
	}
	var writes []struct {
		PutRequest    struct{ Item attributes }
		DeleteRequest struct{ Key attributes }
	}
	err = json.Unmarshal(batch, &writes)
	for _, w := range writes {
		if w.PutRequest.Item != nil {
			items = append(items, w.PutRequest.Item)
		} else {
			items = append(items, w.DeleteRequest.Key)
		}
	}
	return items, err
}
