package boot

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"

	"boathook/internal/stream/apigateway"
)

// WebSocket is the part of a configuration that reaches the WebSocket API's
// connections.
type WebSocket struct {
	Endpoint string `env:"BOATHOOK_WEBSOCKET_ENDPOINT,required,notEmpty"` // https://{api}.execute-api.{region}.amazonaws.com/{stage}
}

// Sockets are the API's connections.
func (w WebSocket) Sockets(sdk aws.Config) apigateway.Sockets {
	return apigateway.Sockets{Client: apigatewaymanagementapi.NewFromConfig(sdk, func(o *apigatewaymanagementapi.Options) {
		o.BaseEndpoint = &w.Endpoint
	})}
}
