package boathook

import "time"

// DeploymentSettings say how a deployment's runs follow one another. Nil and the zero
// value are the default.
type DeploymentSettings struct {
	Retry RunRetries
	// MaxInFlight is how many runs execute at a time: 1 to [MaxRunsInFlight]; 0: any number.
	// It holds for the runs that are accepted while it is set; see [RunHead.TakesTurn].
	MaxInFlight int
}

// MaxRunsInFlight is the highest limit of runs that execute at a time.
const MaxRunsInFlight = 1000

// RunRetries say how runs that failed are retried without being asked for.
type RunRetries struct {
	Max     int           // retries of one run in a row; 0: none
	Backoff time.Duration // before the first; each later one waits twice as long, [MaxRunBackoff] at most
}

// Limits and defaults of retries.
const (
	MaxRunRetries     = 10
	DefaultRunBackoff = 30 * time.Second
	MaxRunBackoff     = time.Hour
)

// Wait is how long the nth retry in a row waits, from 1; false if there is none.
func (p RunRetries) Wait(n int) (time.Duration, bool) {
	if n < 1 || n > p.Max {
		return 0, false
	}
	wait := p.Backoff
	for range n - 1 {
		wait = min(2*wait, MaxRunBackoff)
	}
	return wait, true
}

// DeploymentSettings are the source's, or the default.
func (s *Source) DeploymentSettings() DeploymentSettings {
	if s.Deployment == nil {
		return DeploymentSettings{}
	}
	return *s.Deployment
}
