// Package localaws is a small AWS on this machine: it deploys the stack of
// template.yaml, as SAM translates it, with the real binaries of its functions.
//
// What a function is told, which routes lead to it, which queues and schedules
// invoke it, with what batches, timeouts and dead-letter queues: all of that is
// read in the template, and nothing is listed here. Tables, queues, keys and
// secrets are made on emulators; functions run in package sandbox; the HTTP
// API, the WebSocket APIs with their management API, the event source mappings
// and the schedules are this package's own.
//
// What a function is told differs from what AWS would tell it in one thing: the
// host of an API of API Gateway in a variable, https://{id}.execute-api.…, is
// this machine's, where the SDK finds the management API of its connections.
//
// What the emulators lack is served here: SQS's message move tasks, and the
// calls that invoke functions and agent runtimes outside of the stack.
//
// What AWS does and this does not: permissions are not enforced, but calls are
// recorded, so that a test can compare them; APIs do not throttle; alarms do
// not ring.
package localaws

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"boathook/internal/testing/lambdaruntime"
)

const (
	region  = "eu-west-1"
	account = "123456789012"
)

// Config says what is deployed, and on what.
type Config struct {
	Template   *Template
	StackName  string
	Parameters map[string]string // those that are not left at their defaults
	Secrets    map[string]string // by logical id; of others the text is random
	Binaries   string            // the folder that [Build] filled
	Emulators  Emulators

	// Haste divides the times that AWS itself waits, so that a test need not:
	// the queues' visibility timeouts and the intervals of schedules. 0 is 1.
	Haste int
	// Log is where a function's processes print to; nil discards it.
	Log func(function string) io.Writer
	// Fault hears of each request that is sent to AWS before it is passed on, and
	// gives the status with which it is refused instead; 0 refuses none, as nil does.
	Fault func(Call) int
	// Called hears of each request to AWS when it has been answered; nil hears of
	// none.
	Called func(Call)
	// Outside invokes the Lambda functions and AgentCore runtimes that are not the
	// stack's, by their ARNs; nil knows none.
	Outside func(arn string, payload []byte) (response []byte)
	// Host is this machine's address at which the functions reach AWS; empty: 127.0.0.1.
	Host string
	// Invoke invokes a function of the stack where it does not run as a process of this
	// machine's; nil: it does.
	Invoke func(ctx context.Context, function string, payload []byte) ([]byte, error)
	// Invoked hears of each invocation that has ended; nil hears of none.
	Invoked func(Invocation)
}

// Emulators are the URLs of AWS's services on this machine.
type Emulators struct {
	Any      string // of every service that has none of its own
	DynamoDB string
	SQS      string
}

// FromEnv are the emulators that the command emulators has started.
func FromEnv(getenv func(string) string) (Emulators, error) {
	var missing []string
	url := func(name string) string {
		value := getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	e := Emulators{Any: url("BOATHOOK_TEST_MOTO"), DynamoDB: url("BOATHOOK_TEST_DYNALITE"), SQS: url("BOATHOOK_TEST_FAUXQS")}
	if missing != nil {
		return Emulators{}, fmt.Errorf("not set: %s; run this by internal/cmd/emulators", strings.Join(missing, ", "))
	}
	return e, nil
}

// Invocation is one of a function's, as Lambda bills it.
type Invocation struct {
	Function string // its logical id
	Duration time.Duration
	Err      error
}

// Cloud is a deployed stack. As an [http.Handler] it is the stack's HTTP API.
type Cloud struct {
	config       Config
	resolver     *resolver
	functions    map[string]*lambdaruntime.Function // by logical id
	environments map[string]map[string]string       // of functions, by logical id
	ids          map[string]string                  // of functions, by name and by ARN
	proxy        *proxy
	moves        moves
	lineages     lineages
	dropped      atomic.Int64
	http.Handler
	webSockets map[string]*WebSocketAPI // by their ids
	partitions map[string]string        // the attributes that partition tables and indexes, by their ARNs

	sdk aws.Config // for what the cloud does itself

	db      *dynamodb.Client
	sqs     *sqs.Client
	kms     *kms.Client
	secrets *secretsmanager.Client

	stop    context.CancelFunc // ends the event sources
	sources sync.WaitGroup
}

// Build builds functions, of which it is given the logical ids, into a folder,
// as `sam build` does, but for any architecture. The folder's path is absolute,
// and root is the checkout's.
func Build(ctx context.Context, root, folder, arch string, functions ...string) error {
	for _, id := range functions {
		cmd := exec.CommandContext(ctx, "make", "-s", "build-"+id,
			"ARTIFACTS_DIR="+filepath.Join(folder, id), "ARCH="+arch)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "MAKEFLAGS=") // this may be run by make itself
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", id, err, out)
		}
	}
	return nil
}

// Deploy makes the stack's resources. Nothing happens by itself until
// [Cloud.Run].
func Deploy(ctx context.Context, c Config) (*Cloud, error) {
	c.Haste = max(c.Haste, 1)
	if c.Fault == nil {
		c.Fault = func(Call) int { return 0 }
	}
	if c.Called == nil {
		c.Called = func(Call) {}
	}
	if c.Invoked == nil {
		c.Invoked = func(Invocation) {}
	}
	d := &Cloud{config: c, functions: make(map[string]*lambdaruntime.Function), environments: make(map[string]map[string]string), ids: make(map[string]string)}
	d.moves = moves{cloud: d, tasks: make(map[string]*moveTask)}
	d.lineages.sent = make(map[string]lineage)
	management := d.management()
	var err error
	if d.proxy, err = newProxy(ctx, cmp.Or(c.Host, "127.0.0.1"), c.Emulators, map[string]serve{
		"AmazonSQS.StartMessageMoveTask": d.moves.start,
		"AmazonSQS.ListMessageMoveTasks": d.moves.list,
		"lambda":                         d.outside,
		"bedrock-agentcore":              d.outside,
		managementService:                func(w http.ResponseWriter, r *http.Request, _ Call) { management.ServeHTTP(w, r) },
	}, c.Fault, c.Called, &d.lineages); err != nil {
		return nil, err
	}
	d.sdk = aws.Config{
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider("emulator", "emulator", ""),
		BaseEndpoint: aws.String(d.proxy.url("")),
	}
	d.db, d.sqs = dynamodb.NewFromConfig(d.sdk), sqs.NewFromConfig(d.sdk)
	d.kms, d.secrets = kms.NewFromConfig(d.sdk), secretsmanager.NewFromConfig(d.sdk)
	if err := d.deploy(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// sqsInName is SQS's client for what AWS does in the name of a function.
func (d *Cloud) sqsInName(function string) *sqs.Client {
	return sqs.NewFromConfig(d.sdk, func(o *sqs.Options) { o.BaseEndpoint = aws.String(d.proxy.urlInName(function)) })
}

// deploy makes every resource, so that nothing is made later.
func (d *Cloud) deploy(ctx context.Context) (err error) {
	create := func(id string) (resource, error) { return d.create(ctx, id) }
	if d.resolver, err = newResolver(d.config.Template, d.config.StackName, d.config.Parameters, create); err != nil {
		return err
	}
	for _, id := range d.resolver.resources("") {
		if _, err := d.resolver.resource(id); err != nil {
			return err
		}
	}
	if err := d.readPartitions(); err != nil {
		return err
	}
	for _, id := range d.resolver.resources("AWS::Lambda::Function") {
		if err := d.function(id); err != nil {
			return fmt.Errorf("function %s: %w", id, err)
		}
	}
	gateway, err := d.gateway()
	if err != nil {
		return fmt.Errorf("HTTP API: %w", err)
	}
	d.Handler = gateway
	if err := d.webSocketAPIs(); err != nil {
		return fmt.Errorf("WebSocket API: %w", err)
	}
	return nil
}

// function makes a function from its resource.
func (d *Cloud) function(id string) error {
	var p struct {
		Timeout     int
		MemorySize  int
		Environment struct{ Variables map[string]any }
	}
	if err := d.resolver.properties(id, &p); err != nil {
		return err
	}
	environment := map[string]string{
		"AWS_REGION": region, "AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator",
		"AWS_ENDPOINT_URL": d.proxy.url(id), "AWS_EC2_METADATA_DISABLED": "true",
	}
	for name, value := range p.Environment.Variables {
		environment[name] = apiURL.ReplaceAllString(fmt.Sprint(value), d.proxy.url(id)+"/$1")
	}
	d.environments[id] = environment
	env := make([]string, 0, len(environment))
	for name, value := range environment {
		env = append(env, name+"="+value)
	}
	log := io.Discard
	if d.config.Log != nil {
		log = d.config.Log(id)
	}
	d.functions[id] = lambdaruntime.New(lambdaruntime.Config{
		Name: d.name(id), Binary: filepath.Join(d.config.Binaries, id, "bootstrap"), Env: env,
		Timeout: time.Duration(p.Timeout) * time.Second, Memory: p.MemorySize, Log: log,
	})
	d.ids[d.name(id)], d.ids[functionARN(d.name(id))] = id, id
	return nil
}

// Environment are the variables of the function of a logical id.
func (d *Cloud) Environment(id string) map[string]string { return maps.Clone(d.environments[id]) }

// Function is the one of a logical id, or nil.
func (d *Cloud) Function(id string) *lambdaruntime.Function { return d.functions[id] }

// SDK is the configuration of clients that see the stack as its functions do,
// but are none of them.
func (d *Cloud) SDK() aws.Config { return d.sdk }

// Ref is what the template's Ref of a logical id gives: a table's name, a
// queue's URL, a key's id.
func (d *Cloud) Ref(id string) (string, error) {
	value, err := d.resolver.ref(id)
	return fmt.Sprint(value), err
}

// Output is the value of one of the stack's outputs.
func (d *Cloud) Output(name string) (string, error) {
	output, ok := d.config.Template.Outputs[name]
	if !ok {
		return "", fmt.Errorf("the template has no output %s", name)
	}
	value, err := d.resolver.value(output.Value)
	return fmt.Sprint(value), err
}

// Secret is the text of the secret of a logical id.
func (d *Cloud) Secret(ctx context.Context, id string) (string, error) {
	arn, err := d.Ref(id)
	if err != nil {
		return "", err
	}
	out, err := d.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.SecretString), nil
}

// Depth is how many messages a queue of a logical id holds: those that wait,
// and those in flight.
func (d *Cloud) Depth(ctx context.Context, id string) (waiting, inFlight int, err error) {
	url, err := d.Ref(id)
	if err != nil {
		return 0, 0, err
	}
	return d.depth(ctx, url)
}

// Send puts a message into the queue of a logical id.
func (d *Cloud) Send(ctx context.Context, id, body string) error {
	url, err := d.Ref(id)
	if err == nil {
		_, err = d.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	}
	return err
}

// Dropped counts the messages that were dropped since they had led to the same
// function too often: Lambda's metric RecursiveInvocationsDropped.
func (d *Cloud) Dropped() int64 { return d.dropped.Load() }

// Invoke invokes the function of a logical id.
func (d *Cloud) Invoke(ctx context.Context, id string, payload []byte) ([]byte, error) {
	f := d.functions[id]
	if f == nil {
		return nil, fmt.Errorf("the template has no function %s", id)
	}
	invoke := f.Invoke
	if d.config.Invoke != nil {
		invoke = func(ctx context.Context, payload []byte) ([]byte, error) { return d.config.Invoke(ctx, id, payload) }
	}
	start := time.Now()
	response, err := invoke(ctx, payload)
	d.config.Invoked(Invocation{Function: id, Duration: time.Since(start), Err: err})
	return response, err
}

// Close stops what [Cloud.Run] started and kills the functions' processes.
func (d *Cloud) Close() {
	if d.stop != nil {
		d.stop()
	}
	for _, f := range d.functions {
		f.Close()
	}
	for _, a := range d.webSockets {
		a.close()
	}
	d.sources.Wait()
	d.proxy.close()
}
