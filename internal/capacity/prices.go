package capacity

import (
	"encoding/json"
	"fmt"
	"os"
)

// Prices are a region's list prices, in dollars. The file tells their date.
type Prices struct {
	Region  string `json:"region"`
	AsOf    string `json:"as_of"`
	Dollars struct {
		LambdaRequests float64 `json:"lambda_million_requests"`
		LambdaSeconds  float64 `json:"lambda_arm64_gb_second"`
		Writes         float64 `json:"dynamodb_million_write_units"`
		Reads          float64 `json:"dynamodb_million_read_units"`
		Storage        float64 `json:"dynamodb_gb_month"`
		Recovery       float64 `json:"dynamodb_recovery_gb_month"`
		SQS            float64 `json:"sqs_million_requests"`
		FairQueues     float64 `json:"sqs_fair_queue_million_requests"` // more than others
		HTTP           float64 `json:"http_api_million_requests"`
		Logs           float64 `json:"logs_gb_ingested"`
		Key            float64 `json:"kms_key_month"`
		KMS            float64 `json:"kms_ten_thousand_requests"`
		Secret         float64 `json:"secret_month"`
		Secrets        float64 `json:"secrets_ten_thousand_requests"`
		AlarmMetric    float64 `json:"alarm_metric_month"` // that an alarm watches
		Dashboard      float64 `json:"dashboard_month"`    // after an account's first three
		Metric         float64 `json:"metric_month"`
		Messages       float64 `json:"websocket_million_messages"` // each 32 KB of one
		Minutes        float64 `json:"websocket_million_minutes"`  // of a connection
		Events         float64 `json:"events_million_invocations"`
		Transfer       float64 `json:"transfer_out_gb"`
	} `json:"dollars"`
}

// ReadPrices reads the file of prices.
func ReadPrices(file string) (p Prices, err error) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err == nil && p.AsOf == "" {
		err = fmt.Errorf("%s has no date", file)
	}
	return p, err
}

// Bill is a usage's dollars by what they are for, and in all.
type Bill struct {
	Lambda, Compute, Writes, Reads, SQS, HTTP, Keys, Logs, Total float64
}

// Bill is for a million times u. Each message has a group, which makes its queue
// a fair one: its requests cost more.
func (p Prices) Bill(u Usage) Bill {
	d := p.Dollars
	b := Bill{
		Lambda: u.Invocations * d.LambdaRequests, Compute: u.GBSeconds * 1e6 * d.LambdaSeconds,
		Writes: u.Writes * d.Writes, Reads: u.Reads * d.Reads, SQS: u.SQS * (d.SQS + d.FairQueues), HTTP: u.HTTP * d.HTTP,
		Keys: u.KMS*100*d.KMS + u.Secret*100*d.Secrets, Logs: u.LogBytes * 1e6 / 1e9 * d.Logs,
	}
	b.Total = b.Lambda + b.Compute + b.Writes + b.Reads + b.SQS + b.HTTP + b.Keys + b.Logs
	return b
}
