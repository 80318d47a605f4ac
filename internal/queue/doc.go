// Package queue is the contract of the queues between the services, and of the
// envelopes that travel in them. Package sqs is Amazon SQS standard queues,
// package sqlite and, for tests in memory, package mem are their embedded twins;
// queuetest holds all to the same behaviour.
//
// A message is delivered at least once, in no promised order. It stays in
// flight for the queue's visibility timeout after each receive; one that was
// received [MaxReceives] times and not deleted goes to the dead-letter queue.
//
// There are three queues: runs (intake to execute), deliveries (first
// attempts, publish to deliver) and retries (later attempts, deliver and
// sweep to deliver). Retries have their own queue so that sick endpoints
// never stand before healthy ones. A message's group is its tenant in SQS fair
// queues: the source of a run, the webhook of a delivery.
package queue
