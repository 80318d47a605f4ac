// Package simulation simulates Boathook under trouble. One seed is one world: all
// services on the embedded store and queues, in the fake time of a
// testing/synctest bubble, with users who trigger, cancel, resend and rotate,
// and with everything between the services failing as the seed says. When the
// users are done the trouble ends, days pass, and nothing may be lost.
//
//	user ─► intake, manage ─► [runs] ─► execute ─► [deliveries] ─► deliver ─► endpoint
//	                                      │  target      [retries] ◄──┤
//	                                      └──► scheduled items ◄────────┘
//	                                        sweep, each minute
//
// A service runs in a process (process.go) and reaches the store, the queues, the
// target and the endpoints only through calls that go wrong (faults.go,
// calls.go): refused before they have an effect, answered by nothing after it,
// slow, or the last that the process does, for it crashes or is frozen for
// minutes. Queues duplicate and delay what is sent. Endpoints (outside.go) are
// flaky, slow, dead. Clocks differ, and step back.
//
// The ledger (ledger.go) keeps what really happened, beside what the services
// believe; invariants.go compares the two. The trace (trace.go) is what a
// failing seed prints.
//
// What a world has beside a deployment is drawn by its seed (plan.go): agents with
// their limits (agents.go), senders that sign and repeat (senders.go), events that
// users publish (events.go), a second environment, ten days (long.go), lists that are
// behind (lag.go). A process may die between two writes of one call (torn.go). Webhooks speak all dialects and
// formats; receivers.go reads them as each dialect's document tells receivers to.
//
// # Traffic
//
// traffic.go has another kind of world, in which nothing fails but endpoints, and
// many events flow: it measures for how long a healthy webhook waits while others
// hang, in simulated time and with the template's numbers of batches. mapping.go
// opens batches, and holds each until its slowest message ends, as Lambda does.
//
// # Replay
//
// A seed always gives the same world. Ids come from crypto/rand, which is
// seeded, so that one process simulates one seed at a time. What becomes of a
// call follows from the seed, the call's name and subject, and how often it was
// made before; and each call takes a time of its own, so that at nearly any
// instant one goroutine runs. Where two do, Go decides: if a seed does not fail
// again, repeat it with -count.
package simulation
