package expression

// The bounds of an evaluation.
const (
	MaxSteps = maxSteps
	MaxMade  = maxMade
)

// Spent is what the last evaluation has cost.
func (e *Expression) Spent() (steps, made int) { return e.budget.steps, e.budget.made }
