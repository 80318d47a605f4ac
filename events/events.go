// Package events holds the payloads that AWS sends to the functions, one
// folder a function and one file a case. Tests send them through the handlers
// that AWS calls, `make invoke-<function> CASE=<case>` through the real binaries;
// `sam local invoke -e` takes them too, with the file of `make env-vars`.
//
// They are about one workspace, the fixture, whose deployment has a live version, an
// incoming webhook in production that starts runs of it, and an outgoing one
// that wants to know how they end. [Put] puts it into a store.
//
// The files are written by the package's test: go test ./events -update.
package events

import (
	"bytes"
	"embed"
	"encoding/json"
	"testing"
)

// The ids and credentials in the payloads.
const (
	WorkspaceID   = "ws_nightlyreportsworkspaces"
	DeploymentID  = "dep_nightlyreportsdeployment"
	VersionID     = "ver_nightlyreportsversiontwo"
	VersionNumber = 2
	IncomingID    = "in_githubactionstriggerhook"
	OutgoingID    = "out_reportstatusreceiverhook"
	RunID         = "run_nightlyreportsrunofmarch"
	CrewID        = "crew_reviewersofthereports"
	AgentID       = "agent_reviewerofthereports"
	TokenID       = "tok_whowatchestheseagentlogs"

	// TriggerToken is the token in the incoming webhook's URL.
	TriggerToken = "agx5rxEj3RnIZHrdhhGzMiZ6BAKaHNlOKDGJE7nKaAFUgKSNsL-OTNJgLvlqrQd4Abc"
	// AgentSecret signs the agent's triggers.
	AgentSecret = "3f7c1d0b9a5e48f2b6d4c8a17e90f5231b6c8d4e2f7a90b3c5d1e8f64a2b7c90"
	// InternalToken opens the internal endpoint.
	InternalToken = "c8Zr1VnQy5TgB0kXwJ4mLs7DfHu2AePo9iRtYq3xCv6NbMzKa1SdFgWj"

	// AdminToken is a token as Secrets Manager generates it.
	AdminToken = "hUwftzh3kdVTwJMZ0IXwX0lB88O1Sok599lOnIjzRLh0f52y"

	// ConnectionID is a WebSocket's, as API Gateway makes it.
	ConnectionID = "L0SM9cOFvHcCIhw="
	// StreamSecret signs the tokens that open WebSockets, and StreamToken is one
	// that was made with the API token TokenID, good until the end of 2099.
	StreamSecret = "pQ7vXk2LrT9mZc4WbN8sYd1FgHj6KaEu3RoViPxCtMzBnDwSyGq5JhLfUeO0AiTk"
	StreamToken  = WorkspaceID + "." + TokenID + ".4102444799.A8X4uuDXmVvfpL_N_FMbHn26zbcE288AFitH2dPgKCE"
)

// Payloads are the files.
//
//go:embed */*.json
var Payloads embed.FS

// Load reads a payload, such as "intake/trigger-accepted", into the type that
// its function takes. A field that the type does not have fails the test.
func Load[T any](t testing.TB, name string) T {
	t.Helper()
	text, err := Payloads.ReadFile(name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return decode[T](t, name, text)
}

func decode[T any](t testing.TB, name string, text []byte) (v T) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}
