package localaws

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// create makes a resource on the emulators. One of a type that they are not
// needed for has a name and an ARN, and that is all.
func (d *Cloud) create(ctx context.Context, id string) (resource, error) {
	switch d.resolver.existing[id].Type {
	case "AWS::DynamoDB::Table":
		return d.table(ctx, id)
	case "AWS::SQS::Queue":
		return d.queue(ctx, id)
	case "AWS::KMS::Key":
		out, err := d.kms.CreateKey(ctx, &kms.CreateKeyInput{})
		if err != nil {
			return resource{}, err
		}
		return resource{*out.KeyMetadata.KeyId, map[string]string{"Arn": *out.KeyMetadata.Arn}}, nil
	case "AWS::SecretsManager::Secret":
		text, given := d.config.Secrets[id]
		if !given {
			text = rand.Text() + rand.Text()
		}
		out, err := d.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String(d.name(id)), SecretString: &text})
		if err != nil {
			return resource{}, err
		}
		return resource{*out.ARN, nil}, nil
	case "AWS::Lambda::Function":
		return resource{d.name(id), map[string]string{"Arn": functionARN(d.name(id))}}, nil
	}
	name := d.name(id)
	return resource{name, map[string]string{"Arn": "arn:aws:here:" + region + ":" + account + ":" + name}}, nil
}

// name is that of a resource whose template leaves it to CloudFormation.
func (d *Cloud) name(id string) string { return d.config.StackName + "-" + id }

func functionARN(name string) string {
	return "arn:aws:lambda:" + region + ":" + account + ":function:" + name
}

func (d *Cloud) table(ctx context.Context, id string) (resource, error) {
	var input dynamodb.CreateTableInput // its fields are named as the resource's properties
	if err := d.resolver.properties(id, &input); err != nil {
		return resource{}, err
	}
	input.TableName = aws.String(d.name(id))
	input.SSESpecification, input.StreamSpecification = nil, nil // dynalite has neither
	out, err := d.db.CreateTable(ctx, &input)
	if err != nil {
		return resource{}, err
	}
	fast := func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 10 * time.Millisecond }
	err = dynamodb.NewTableExistsWaiter(d.db, fast).Wait(ctx, &dynamodb.DescribeTableInput{TableName: input.TableName}, time.Minute)
	return resource{*input.TableName, map[string]string{"Arn": aws.ToString(out.TableDescription.TableArn)}}, err
}

// queueProperties are a queue's, with SQS's defaults.
type queueProperties struct {
	QueueName         string
	VisibilityTimeout int // seconds
	DelaySeconds      int
	RedrivePolicy     json.RawMessage
}

func (d *Cloud) queueProperties(id string) (queueProperties, error) {
	p := queueProperties{QueueName: d.name(id), VisibilityTimeout: 30}
	err := d.resolver.properties(id, &p)
	return p, err
}

// hidden is how long the messages of a queue are out of sight, in whole seconds.
func (d *Cloud) hidden(p queueProperties) time.Duration {
	return time.Duration(max(1, p.VisibilityTimeout/d.config.Haste)) * time.Second
}

func (d *Cloud) queue(ctx context.Context, id string) (resource, error) {
	p, err := d.queueProperties(id)
	if err != nil {
		return resource{}, err
	}
	attributes := map[string]string{
		"VisibilityTimeout": strconv.Itoa(int(d.hidden(p) / time.Second)),
		"DelaySeconds":      strconv.Itoa(p.DelaySeconds),
	}
	if p.RedrivePolicy != nil {
		attributes["RedrivePolicy"] = string(p.RedrivePolicy)
	}
	created, err := d.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &p.QueueName, Attributes: attributes})
	if err != nil {
		return resource{}, err
	}
	url := *created.QueueUrl
	got, err := d.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return resource{}, err
	}
	return resource{url, map[string]string{"Arn": got.Attributes["QueueArn"], "QueueName": p.QueueName, "QueueUrl": url}}, nil
}

func (d *Cloud) depth(ctx context.Context, url string) (waiting, inFlight int, err error) {
	out, err := d.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return 0, 0, err
	}
	for name, n := range map[string]*int{
		"ApproximateNumberOfMessages": &waiting, "ApproximateNumberOfMessagesNotVisible": &inFlight,
	} {
		if *n, err = strconv.Atoi(out.Attributes[name]); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	return waiting, inFlight, nil
}
