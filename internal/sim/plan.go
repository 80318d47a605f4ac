package sim

import "math/rand/v2"

// plan is what a world has beside a deployment in production. A seed draws some of
// it, so that worlds stay small.
type plan struct {
	deployments int
	agents      bool // with their triggers and limits
	events      bool // repositories and apps, whose events users publish
	senders     bool // incoming webhooks of GitHub and others, which sign and repeat
	staging     bool // a second environment
}

func drawPlan(r *rand.Rand) plan {
	p := plan{
		deployments: 2,
		agents:      r.IntN(3) == 0,
		events:      r.IntN(3) == 0,
		senders:     r.IntN(3) == 0,
		staging:     r.IntN(4) == 0,
	}
	if p.agents || p.events {
		p.deployments = 1
	}
	return p
}
