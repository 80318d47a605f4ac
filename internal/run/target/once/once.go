// Package once makes the AWS SDK call at most once: for calls that start work,
// which has side effects.
package once

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"boathook/internal/egress"
)

// Config is cfg for a client whose calls are never repeated: without the SDK's
// retries, and with a connection of its own for each, since one that died while
// unused would fail a run that can't be retried.
func Config(cfg aws.Config) aws.Config {
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	cfg.HTTPClient = client{awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.DisableKeepAlives = true
	})}
	return cfg
}

// client keeps the SDK and the transport from losing a response together. The
// SDK closes the request's body once response headers are there; a transport
// that still looks for the body's end by its WriteTo then gets io.EOF for a
// failed write, and drops the connection. Read has no such fault.
type client struct{ *awshttp.BuildableClient }

func (c client) Do(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body = struct{ io.ReadCloser }{req.Body}
	}
	return egress.Final(c.BuildableClient.Do(req)) // the SDK reads whatever is no success to its end
}

// Explain puts a call that gave no answer into words.
func Explain(err error, elapsed time.Duration) string {
	if refused, ok := errors.AsType[smithy.APIError](err); ok {
		return refused.ErrorCode() + ": " + refused.ErrorMessage()
	}
	_, sending := errors.AsType[*smithyhttp.RequestSendError](err)
	_, reading := errors.AsType[*smithy.DeserializationError](err)
	if sending || reading {
		return egress.Explain(err, elapsed)
	}
	return err.Error() // of the SDK's configuration or credentials
}
