// Package runs is the two ends of a run's life that several rooms share: how
// one is made durable and started (intake and manage), and how one that is
// over, lost or left behind is brought to its end (execute and sweep).
package runs
