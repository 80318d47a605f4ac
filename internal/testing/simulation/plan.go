package simulation

import (
	"math/rand/v2"
	"time"

	"boathook/internal/boathook"
)

// plan is what a world has beside a deployment in production. A seed draws some of
// it, so that worlds stay small.
type plan struct {
	deployments int
	agents      bool // with their triggers and limits
	events      bool // repositories and apps, whose events users publish
	senders     bool // incoming webhooks of GitHub and others, which sign and repeat
	staging     bool // a second environment
	feeds       bool // sources keep their events, and webhooks filter and transform them

	// long: users take ten days for their steps, and what they set up waits for days:
	// long enough for webhooks to be disabled, and for records to expire.
	long bool

	lag       time.Duration // how far the lists by status are behind
	scheduled int           // how many scheduled items sweep reads at once

	retries     boathook.RunRetries // of deployments
	maxInFlight int                 // of deployments, at first; 0: there are no limits
	bursts      bool                // deployments have an incoming webhook that coalesces
}

// planOf is the plan of a seed's world.
func planOf(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 0))
	p := plan{
		deployments: 2,
		agents:      r.IntN(3) == 0,
		events:      r.IntN(3) == 0,
		senders:     r.IntN(3) == 0,
		staging:     r.IntN(4) == 0,
		long:        r.IntN(8) == 0,
		lag:         pick(r, []time.Duration{0, 0, time.Second, time.Minute}),
		scheduled:   pick(r, []int{1, 2, 100}),
		retries: pick(r, []boathook.RunRetries{
			{}, {}, {Max: 1, Backoff: time.Second}, {Max: 2, Backoff: 5 * time.Minute}, {Max: 3, Backoff: 20 * time.Minute},
		}),
	}
	p.maxInFlight = pick(r, []int{0, 0, 1, 2})
	p.bursts = r.IntN(3) == 0
	if p.agents || p.events {
		p.deployments = 1
	}
	p.feeds = r.IntN(3) == 0
	return p
}

// retention is how long records are kept: as long as usual, or in long worlds for the
// shortest time that can be set.
func (p plan) retention() time.Duration {
	if p.long {
		return 15 * 24 * time.Hour
	}
	return 30 * 24 * time.Hour
}
