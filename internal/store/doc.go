// Package store is the contract of what Boathook remembers. Package dynamo
// keeps it in DynamoDB, package mem in memory; storetest holds both to the
// same behaviour.
//
// There are no transactions. Each method is one conditional write, or several
// in an order in which a crash between any two leaves nothing wrong, only
// something to repeat; each may be repeated.
//
// # Tables
//
// Config holds what users set up and never expires by itself: workspaces,
// tokens, sources, versions, webhooks. Records holds what happens: runs,
// deliveries and what is due. Records expire after the retention (at least 15
// days, so that nothing redriven from a dead-letter queue meets a missing
// record); DynamoDB deletes late, so an expired item is filtered on read and
// counts as absent in conditions.
//
// Records has one sparse index, "by-parent": a source's runs by time, with
// their status, and a webhook's failed deliveries.
//
// # Access patterns
//
// Costs are in DynamoDB's units for items up to 1 KiB (write) and 4 KiB
// (read); "C" marks a strongly consistent read. Keys are in dynamo/keys.go.
//
//	method              table    key or index               operation               cost
//	------------------  -------  -------------------------  ----------------------  -----------------------
//	PutWorkspace        config   ws#id / workspace          PutItem, if absent      1 W
//	Workspace           config   ws#id / workspace          GetItem                 0.5 R
//	PutToken            config   tok#hash, ws#id / tok#id   PutItem x2              2 W
//	TokenByHash         config   tok#hash / token           GetItem C               1 R
//	Tokens              config   ws#id / tok#…              Query C                 1 R per 4 KiB
//	DeleteToken         config   ws#id / tok#id, tok#hash   GetItem, DeleteItem x2  1 R, 2 W
//	PutSource           config   src#id, ws#id / src#kind   PutItem x2              2 W
//	Source              config   src#id / source            GetItem C               1 R
//	Sources             config   ws#id / src#kind#time#id   Query C                 1 R per 4 KiB
//	DeleteSource        config   src#id / …                 Query, BatchWriteItem   1 W per item
//	AddVersion          config   src#id / live, ver#id      UpdateItem x2, PutItem  3 W
//	Activate            config   src#id / live              UpdateItem              1 W
//	Live                config   src#id / live              GetItem C               1 R
//	Version             config   src#id / ver#id            GetItem                 0.5 R
//	Versions            config   src#id / ver#…             Query C                 1 R per 4 KiB
//	PutIncoming         config   src#id / in#id             PutItem                 1 W
//	Incoming(s)         config   src#id / in#id             GetItem C, Query C      1 R per 4 KiB
//	PutOutgoing         config   src#id / out#id            PutItem                 1 W
//	Outgoing(s)         config   src#id / out#id            GetItem C, Query C      1 R per 4 KiB
//	LookUpTrigger       both     in#id, live, run head      BatchGetItem C          3 R
//	CreateRun           records  run#id / head, input       PutItem x2 side by side 1 W + 3 index, input
//	RemovePending       records  run#id / head, input       DeleteItem x2           2 W + index
//	RunHead             records  run#id / head              GetItem C               1 R
//	Run                 records  run#id / head, in-, output BatchGetItem C          1 R per 4 KiB
//	ClaimRun            records  run#id / head              UpdateItem              1 W + 1 index
//	RenewLease          records  run#id / head              UpdateItem              1 W
//	FinishRun           records  run#id / output, head      PutItem, UpdateItem     1 W + output + 1 index
//	MarkPublished       records  run#id / head              UpdateItem              1 W
//	RequestCancel       records  run#id / head              UpdateItem              1 W (+ 1 index)
//	Runs                records  by-parent runs#src         Query, BatchGetItem     1 R per 4 KiB
//	AnyActive           records  by-parent runs#src         Query with filter       0.5 R per 4 KiB
//	AppendLog           records  run#id / log#line          PutItem                 1 W per KiB, compressed
//	Log                 records  run#id / log#line          Query C                 1 R per 4 KiB
//	RecordAttempt (1st) records  dlv#ws#tag#shard / id      PutItem, if absent      1 W (+ 1 index if failed)
//	RecordAttempt (nth) records  att#id / n, delivery       PutItem, UpdateItem     2 W (+ 1 index if failed)
//	CancelDelivery      records  delivery                   UpdateItem or PutItem   1 W
//	Delivery            records  delivery                   GetItem C               1 R
//	Attempts            records  delivery, att#id           GetItem C, Query C      2 R
//	Deliveries          records  dlv#ws#tag#0…3             Query x4 side by side   0.5 R per 4 KiB
//	Deliveries (failed) records  by-parent failed#out       Query, BatchGetItem     1 R per 4 KiB
//	PutDue              records  due#shard / time#id        PutItem                 1 W
//	Due                 records  due#shard                  Query C                 1 R per 4 KiB
//	DeleteDue           records  due#shard / time#id        DeleteItem              1 W
//
// A body, an input or an output above 300 KiB compressed (DynamoDB's items
// end at 400 KB) continues in further items.
//
// # Limits
//
// One partition key takes about 1,000 write units a second: a source starts
// at most as many runs a second (they share an index partition), a webhook
// four times as many deliveries (four shards). Beyond it DynamoDB throttles;
// the queue keeps what waits, and nothing is lost.
package store
