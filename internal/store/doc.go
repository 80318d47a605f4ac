// Package store is the contract of what Boathook remembers. Package dynamo
// keeps it in DynamoDB, package sqlite in a file on one machine, package mem
// in memory, for tests; storetest holds all to the same behaviour.
//
// There are no transactions. Each method is one conditional write, or several
// in an order in which a crash between any two leaves nothing wrong, only
// something to repeat; each may be repeated.
//
// # Tables
//
// Config holds what users set up and never expires by itself: workspaces,
// tokens, sources, versions, webhooks. Records holds what happens: runs,
// deliveries, what is due, and the WebSockets that are open, which need no
// table of their own. Records expire after the retention (at least 15
// days, so that nothing redriven from a dead-letter queue meets a missing
// record); DynamoDB deletes late, so an expired item is filtered on read and
// counts as absent in conditions.
//
// Indexes are sparse, and sort by time what is listed in pages. "by-place" of
// Config is local and consistent: tokens, sources, versions. Those of Records are
// global and lag; they hold what lists select by:
//
//   - by-parent has the runs of a source, and those that one delivery of a sender has
//     started, a webhook's deliveries that are retrying, failed or canceled, each status
//     apart, and the chunks of an agent's log;
//   - by-workspace has the runs of all of a workspace's deployments, and of all its
//     agents, and the deliveries of all its webhooks that are retrying, failed or
//     canceled;
//   - active has the runs of a source that are not over.
//
// Each list of runs or deliveries is spread over four partitions. A run has its
// places in the first two for good, so that no list misses one that ends meanwhile.
// They cost a run six units: one in each of the three when it is created, and when
// it ends.
//
// Deliveries that succeed are in no index: it would cost as much as they do. What is
// published together is entered in its workspace's list together, in one item, before it is
// queued, and the list reads what became of it from the records.
//
// # Access patterns
//
// Costs are in DynamoDB's units for items up to 1 KiB (write) and 4 KiB
// (read); "C" marks a strongly consistent read, "+ 1" what an index adds. Keys
// are in dynamo/keys.go.
//
//	method               table    key or index                operation                               cost
//	-------------------  -------  --------------------------  --------------------------------------  -----------------------------------------------
//	PutWorkspace         config   ws#id / workspace, list     PutItem x2, the last if absent          2 W + 1
//	Workspace            config   ws#id / workspace           GetItem C                               1 R
//	PutPortal            config   ws#id / workspace           UpdateItem                              1 W
//	Workspaces           config   by-place workspaces         Query C, BatchGetItem C                 1 R per 4 KiB, 1 R each
//	DeleteWorkspace      config   ws#id by place, list        Query C x2, DeleteItem x2               2 R, 2 W + 1, 1 W per event type
//	PutToken             config   ws#id / tok#id, tok#hash    PutItem x2                              2 W + 1
//	TokenByHash          config   tok#hash / token            GetItem C                               1 R
//	Tokens               config   by-place ws#id / tok#time   Query C                                 1 R per 4 KiB
//	Token                config   ws#id / tok#id              GetItem C                               1 R
//	DeleteToken          config   ws#id / tok#id, tok#hash    GetItem C, DeleteItem x2                1 R, 2 W + 1
//	PutSource            config   ws#id / src#id, src#id      PutItem x2, if as it was read           2 W + 1
//	… of an agent        config   ws#id / slug#crew#slug      the same, GetItem C, PutItem            1 R, 3 W + 1
//	… of a deployment    config   src#id / live               the same, UpdateItem if it is changed   3 W + 1
//	… of a customer      config   ws#id / ext#external id     the same as of an agent                 1 R, 3 W + 1
//	Source               config   src#id / source             GetItem C                               1 R
//	Sources              config   by-place ws#id / src#kind   Query C                                 1 R per 4 KiB
//	CrewAgents           config   by-place ws#id / src#agent  Query C                                 1 R per 4 KiB
//	Agents               config   by-place ws#id / src#agent  Query C                                 1 R per 4 KiB
//	AgentBySlug          config   ws#id / slug#crew#slug, src GetItem C x2                            2 R
//	CustomerByExternalID config   ws#id / ext#external…, src  GetItem C x2                            2 R
//	DeleteSource         config   src#id / …, ws#id / src#id  DeleteItem x3, Query C, BatchWriteItem  1 R per 4 KiB, 1 W (+ 1) per item
//	AddVersion           config   src#id / live, ver#id       UpdateItem x2, PutItem                  3 W + 1
//	Activate             config   src#id / live               UpdateItem                              1 W
//	Live                 config   src#id / live               GetItem C                               1 R
//	Version              config   src#id / ver#id             GetItem C                               1 R
//	Versions             config   by-place src#id / ver#n     Query C                                 1 R per 4 KiB
//	PutIncoming          config   src#id / in#id              PutItem, if as it was read              1 W
//	Incoming             config   src#id / in#id              GetItem C                               1 R
//	AllIncoming          config   src#id / in#…               Query C                                 1 R per 4 KiB
//	DeleteIncoming       config   src#id / in#id              DeleteItem                              1 W
//	PutOutgoing          config   src#id / out#id             PutItem, if as it was read              1 W
//	DisableOutgoing      config   src#id / out#id             UpdateItem                              1 W
//	Outgoing             both     src#id / out#id, health#out BatchGetItem C                          2 R
//	AllOutgoing          config   src#id / out#…              Query C                                 1 R per 4 KiB
//	Audience             config   src#id / out#…, source      Query C                                 1 R per 4 KiB
//	DeleteOutgoing       both     src#id / out#id, health#out DeleteItem x2                           2 W
//	PutEventType         config   types#ws / type#name        PutItem, if as it was read              1 W per KiB
//	EventType            config   types#ws / type#name        GetItem C                               1 R per 4 KiB
//	AllEventTypes        config   types#ws / type#…           Query C                                 1 R per 4 KiB
//	Health               records  health#out / health         BatchGetItem C                          1 R each
//	MarkFailure          records  health#out / health         UpdateItem, or also PutItem             1 W, 3 W if it has expired
//	MarkSlow             records  health#out / health         the same                                the same
//	MarkDisabling        records  health#out / health         the same                                the same
//	MoveProbe            records  health#out / health         the same                                the same
//	MoveAlert            records  health#out / health         the same                                the same
//	ClearHealth          records  health#out / health         UpdateItem                              1 W
//	LookUpTrigger        both     in#id, live, backlog, head  BatchGetItem C                          4 R
//	LookUpAgent          both     source, live, load, each    BatchGetItem C                          3 R, 2 R per id of a run
//	                              id's head and pin
//	LookUpStart          records  run#id / head, backlog      BatchGetItem C                          2 R
//	MoveBacklog          records  backlog of the source       PutItem or DeleteItem                   1 W
//	PinRun               records  pin#id / run                PutItem, or also GetItem C              1 W, 1 W + 1 R
//	Admit                records  load#id / load              UpdateItem; PutItem each new minute     1 W per KiB
//	Release              records  load#id / load              UpdateItem                              1 W per KiB
//	CreateRun            records  run#id / input#hash, head   PutItem x2, the head last               1 W + 3, input (+ 1 of a sender's delivery)
//	RemovePending        records  run#id / head               DeleteItem                              1 W + 3
//	RunHead              records  run#id / head               GetItem C                               1 R
//	Run                  records  run#id / head, texts        GetItem C, BatchGetItem C               1 R, 1 R per 4 KiB
//	ClaimRun             records  run#id / head               UpdateItem                              1 W
//	RenewLease           records  run#id / head               UpdateItem                              1 W
//	MarkRetried          records  run#id / head               UpdateItem                              1 W
//	MoveVersion          records  run#id / head               UpdateItem                              1 W
//	FinishRun            records  run#id / output#hash, head  PutItem, UpdateItem                     1 W + 3, output
//	MarkPublished        records  run#id / head               UpdateItem                              1 W
//	MarkWaiting          records  run#id / head               UpdateItem                              1 W
//	Turns                records  turn#src / taken, wait#time Query C                                 1 R per 4 KiB: about 80 runs
//	MoveTurns            records  turn#src / taken            PutItem, if as it was read              1 W per KiB: about 20 turns
//	EndTurn              records  turn#src / taken            UpdateItem                              the same
//	StandInLine          records  turn#src / wait#time#run    PutItem                                 1 W
//	LeaveLine            records  turn#src / wait#time#run    DeleteItem                              1 W
//	LookUpBurst          records  burst#in / key, pin#id / run BatchGetItem C                         2 R
//	MoveBurst            records  burst#in / key              PutItem, if it is of that run           1 W
//	JoinRun              records  run#id / input#hash, head   PutItem, UpdateItem                     1 W + 3, input
//	RequestCancel        records  run#id / head               GetItem C, UpdateItem                   1 R, 1 W (+ 3)
//	Runs                 records  by-workspace ws#kind#0…3    Query x4, then BatchGetItem C x4        1 R per 8 KiB of entries, 1 R per 4 KiB of runs
//	Runs of a source     records  by-parent runs#src#0…3      the same                                the same
//	… and not over       records  active src#0…3              the same                                the same
//	Runs of a delivery   records  by-parent sent#ws#hash      Query, then BatchGetItem C x4           the same
//	RunHeads             records  as Runs                     Query x4, then BatchGetItem C           1 R per 8 KiB of entries, 1 R per run
//	CountedRuns          records  as Runs                     the same                                the same; about 500 R for 10,000 runs
//	AnyActive            records  active src#0…3              Query x4                                2 R
//	PutRequest           records  req#in / outcome#slot       PutItem                                 1 W
//	Requests             records  as Runs of a source; req#in Query x5                                0.5 to 1 R per 4 KiB, 200 R at most
//	AppendLog            records  run#id / log#line           PutItem                                 1 W per KiB, compressed (+ 1 of an agent)
//	Log                  records  run#id / log#line           Query C x2                              2 R, 1 R per 4 KiB
//	AgentLog             records  by-parent log#agent         Query, then BatchGetItem C x1 to 6      0.5 R per 4 KiB, 1 R per 4 KiB shown
//	LogLines             records  run#id / log#line           Query C                                 1 R per 4 KiB
//	PinEvent             records  evt#ws#id / pin             PutItem, or also GetItem C              1 W, 1 W + 1 R
//	MarkEventPublished   records  evt#ws#id / pin             UpdateItem                              1 W
//	AppendEvents         records  feed#src / counter, fed#…,  UpdateItem, then PutItem x2 each        1 W a call, 1 W + 1 W per KiB an event;
//	                              feed#src#page / position                                            no mark of one that is fresh: 1 W less
//	FeedEvents           records  feed#src / counter, slots   GetItem C, Query C                      1 R, and 1 R per 4 KiB if there are any
//	RecordAttempt (1st)  records  dlv#ws#tag#shard / id       PutItem, if absent                      1 W (+ 2 if it did not succeed)
//	RecordAttempt (nth)  records  att#id / n, delivery        PutItem, UpdateItem                     2 W + 1 (+ 1 if it succeeded, + 2 if it failed for good)
//	CancelDelivery       records  delivery                    UpdateItem, or also PutItem             1 W + 3, 2 W + 2
//	PostponeDelivery     records  delivery                    UpdateItem, or also PutItem             1 W (+ 3), 2 W + 2
//	ReopenDelivery       records  delivery                    UpdateItem                              1 W + 3
//	Delivery             records  delivery                    GetItem C                               1 R
//	Attempts             records  delivery, att#id            GetItem C, Query C                      2 R
//	AttemptLog           records  dlv#ws#tag#0…3, att#id / n  Query x4, then BatchGetItem C x1 to 3   0.5 R per 4 KiB, 500 R at most; 1 R per 4 KiB shown
//	Deliveries           records  dlv#ws#tag#0…3              Query x4 side by side                   0.5 R per 4 KiB
//	Deliveries (others)  records  by-parent status#ws#out#0…3 Query x4 side by side, each status      0.5 R per 4 KiB
//	EnterDeliveries      records  entered#ws#0…3 / id         PutItem                                 1 W per KiB, which is 40 deliveries of one time
//	WorkspaceDeliveries  records  entered#ws#0…3, deliveries  Query x4, then BatchGetItem C x1 to 4   0.5 R per 4 KiB, 1 R per delivery looked at
//	… (not succeeded)    records  by-workspace dlv#ws#0…3     the same                                the same
//	CountAttempts        records  stats#out or ws / hour      UpdateItem                              1 W
//	AttemptCounts        records  stats#out or ws / hour      Query                                   0.5 R per 4 KiB, of about 30 hours
//	PutDue               records  due#shard / time#id         PutItem                                 1 W
//	Due                  records  due#shard                   Query C                                 1 R per 4 KiB
//	DeleteDue            records  due#shard / time#id         DeleteItem                              1 W
//	ReserveSlot          records  slot#out / interval         UpdateItem; also PutItem if none waits  1 W, 2 W
//	TakeLease            records  lease#name / place          Query, PutItem if one is free           0.5 R, 1 W
//	ReturnLease          records  lease#name / place          DeleteItem                              1 W
//	PutConnection        records  conn#id / connection        PutItem                                 1 W
//	Connection           records  conn#id / connection        GetItem C                               1 R
//	DeleteConnection     records  as Watchers / id, conn#id   DeleteItem x3                           3 W
//	Watch                records  as Watchers / id            PutItem                                 1 W
//	Unwatch              records  as Watchers / id            DeleteItem                              1 W
//	Watchers             records  watch#ws, …#deliveries      Query, Query C of deliveries            0.5 R (1 R) per 4 KiB, about 40 watchers
//	WatchersBy           records  as Watchers                 Query C x2                              1 R per 4 KiB, about 40 watchers
//
// A text above 300 KiB compressed (DynamoDB's items end at 400 KB), and a
// delivery's body above 4 KiB, is in further items: their writes come first and
// cost 1 W per KiB, and reading it takes one BatchGetItem C more.
//
// # Limits
//
// A page of a list looks at [MaxLook] objects, or at a whole page of each of the
// lists it merges; what of them it leaves out is paid for as well. It asks each list
// once, side by side, and reads what it shows at once: a page takes two round trips
// here, and with the token, the source and the webhook that an API's list looks at
// beside them ten requests in three round trips. It ends where an answer of
// DynamoDB's does, at 1 MB of items, or where four requests would read no more of
// what it shows, or at [MaxPageBytes]. (A run that ends while a page is read may
// take one request and one round trip more.)
//
// One partition key takes about 1,000 write units a second: a source, and all
// deployments of a workspace together, have at most twice as many runs a second
// (four shards, and two units of each index for a run), a webhook four times as many
// deliveries. Beyond it DynamoDB throttles; the queue keeps what waits, and nothing
// is lost.
package store
