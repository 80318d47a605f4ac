// Package boot is how every function starts: it reads the function's
// configuration and the SDK's from the environment, sets the logger, builds the
// handler once, and hands it to the Lambda runtime. It imports what every
// function needs: each prepares itself at a cold start, needed or not.
package boot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/caarlos0/env/v11"

	"boathook/internal/metrics"
	"boathook/internal/store/dynamo"
)

// Logging is the part of every function's configuration that says what it
// writes: log lines, the metrics that are made of some, and the spans of traces. Run sets
// the level.
type Logging struct {
	Level     slog.Level `env:"BOATHOOK_LOG_LEVEL,required"`
	Namespace string     `env:"BOATHOOK_METRICS_NAMESPACE,required,notEmpty"`

	// OTLPEndpoint is where spans are sent, if the build has the tag otel; empty:
	// nowhere. The variable is OpenTelemetry's own, and its SDK reads it too.
	OTLPEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
}

func (l Logging) level() slog.Level { return l.Level }

// Metrics are the function's, written to where CloudWatch Logs finds them.
func (l Logging) Metrics() *metrics.Counters { return metrics.New(l.Namespace, os.Stdout, time.Now) }

// Run serves the handler that build makes of the configuration C, whose fields
// name their variables in `env` tags. If a variable is missing or malformed, or
// build fails, it logs all that is wrong and exits with 1.
func Run[C interface{ level() slog.Level }](build func(context.Context, C, aws.Config) (handler any, err error)) {
	ctx := context.Background()
	c, err := env.ParseAs[C]()
	setLogger(os.Stdout, c.level())
	var handler any
	if err == nil {
		handler, err = build(ctx, c, sdk(os.Getenv))
	}
	if err != nil {
		slog.Error("start failed", "error", err)
		os.Exit(1)
	}
	lambda.Start(told(logged{lambda.NewHandler(handler)}))
}

// logged is a handler whose failures and panics are lines of the log. The runtime
// would tell them to package log.
type logged struct{ lambda.Handler }

func (l logged) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	defer func() {
		if p := recover(); p != nil {
			slog.ErrorContext(ctx, "handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			panic(p)
		}
	}()
	out, err := l.Handler.Invoke(ctx, payload)
	if err != nil {
		slog.ErrorContext(ctx, "invocation failed", "error", err)
	}
	return out, err
}

// setLogger has all lines of the process written to w as JSON. Those of package
// log are debug: strangers who misbehave have net/http write them without end.
func setLogger(w io.Writer, level slog.Level) {
	slog.SetDefault(slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})))
	slog.SetLogLoggerLevel(slog.LevelDebug)
}

// sdk is the SDK's configuration. Lambda puts all that it takes into the
// environment; the SDK's own loader looks in many more places, and brings the
// clients for them, which a cold start would wait for.
func sdk(getenv func(string) string) aws.Config {
	c := aws.Config{
		Region: getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")),
	}
	if url := getenv("AWS_ENDPOINT_URL"); url != "" { // another AWS: an emulator
		c.BaseEndpoint = &url
	}
	return c
}

// Tables is the part of a configuration that opens the store.
type Tables struct {
	ConfigTable   string `env:"BOATHOOK_CONFIG_TABLE,required,notEmpty"`
	RecordsTable  string `env:"BOATHOOK_RECORDS_TABLE,required,notEmpty"`
	RetentionDays int    `env:"BOATHOOK_RETENTION_DAYS,required"`
}

// Store opens the tables.
func (t Tables) Store(sdk aws.Config) *dynamo.Store {
	return dynamo.New(dynamodb.NewFromConfig(sdk), dynamo.Config{
		ConfigTable: t.ConfigTable, RecordsTable: t.RecordsTable,
		Retention: time.Duration(t.RetentionDays) * 24 * time.Hour,
	})
}
