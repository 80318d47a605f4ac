package preset_test

import (
	"fmt"
	"net/http"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/preset"
)

// One call reads all that a request tells: GitHub's own example of a signature
// ("Validating webhook deliveries", "Testing the webhook payload validation").
func ExampleSender_Read() {
	github, err := preset.New(boathook.Verification{Preset: preset.GitHub})
	if err != nil {
		fmt.Println(err)
		return
	}
	body := []byte("Hello, World!")
	header := http.Header{}
	header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	_, err = github.Read(preset.Request{Header: header, Wire: body, Body: body, Secret: "It's a Secret to Everybody", At: time.Now()})
	fmt.Println("signed, but:", err)

	header.Set("X-Hub-Signature-256", "sha256=00")
	_, err = github.Read(preset.Request{Header: header, Wire: body, Body: body, Secret: "It's a Secret to Everybody", At: time.Now()})
	fmt.Println("forged:", err)
	// Output:
	// signed, but: not JSON: it looks like plain text
	// forged: X-Hub-Signature-256: expected sha256=<64 hex digits>
}
