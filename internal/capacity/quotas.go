package capacity

// What AWS allows an account in a region, or one thing in it, unless it is raised. Beside
// each is where its documentation says so.
const (
	// accountConcurrency is Lambda's quota "Concurrent executions" (L-B99A9384). New
	// accounts have less: 10 or 50 are seen.
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	accountConcurrency = 1000
	// mappingConcurrency is how many batches an event source mapping of SQS has under way
	// at most, and what MaximumConcurrency may be.
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
	mappingConcurrency = 1000
	// firstBatches are under way as soon as a queue has messages, and moreBatches are
	// added in each minute in which more are there.
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
	firstBatches = 5
	moreBatches  = 300
	// unreserved is what Lambda keeps for functions without a reserved concurrency.
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
	unreserved = 100

	// tableUnits is DynamoDB's quota of "Table-level read throughput limit" and of "Table-level
	// write throughput limit" each, in request units a second of a table in on-demand mode.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
	tableUnits = 40_000
	// What a partition serves: a key that gets more is throttled.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput-scenarios.html
	partitionWrites = 1000
	partitionReads  = 3000
	// newTableWrites is what a new table in on-demand mode takes at once. It takes twice
	// its earlier peak, if the load grows over half an hour.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
	newTableWrites = 4000

	// apiRequests is API Gateway's quota "Throttle rate" (L-8A5B8E43), a second, of all APIs
	// of an account in a region, and of calls to their WebSockets. Some regions have 2,500.
	// https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
	apiRequests = 10_000
	// inFlight is how many messages of a standard queue may be received and not deleted.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
	inFlight = 120_000
)

// What Lambda and SQS are told by the template, of which a test knows that it is so.
const (
	fullBatch = 10  // BatchSize of deliveries and retries
	window    = 1.0 // MaximumBatchingWindowInSeconds of both
	memory    = 0.25
)
