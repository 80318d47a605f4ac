//go:build !otel

package boot

import (
	"github.com/aws/aws-lambda-go/lambda"

	"boathook/internal/tracing"
)

// Tracer is nil: nothing is recorded. A build with the tag otel records steps; see
// traced.go.
func (Logging) Tracer() *tracing.Tracer { return nil }

func told(h lambda.Handler) lambda.Handler { return h }
