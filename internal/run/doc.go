// Package run is a run's life. A [Starter] makes a run durable and queues it.
// An [Executor] claims it, keeps its lease while the target works, stores its
// log and its outcome. A [Keeper] ends it: it gives the agent's place back,
// publishes the event, and finds the runs whose runner is lost.
//
// A run is executed once at most, since agents have side effects. It ends and
// its event is published at least once, whatever crashes.
package run
