package secret_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"boathook/functions/internal/secret"
)

// manager stands in for Secrets Manager, with one secret.
type manager struct {
	text  string
	reads int
}

func (m *manager) Do(r *http.Request) (*http.Response, error) {
	m.reads++
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{"SecretString":%q}`, m.text))),
	}, nil
}

func (m *manager) reader() secret.Reader {
	return secret.New(aws.Config{Region: "eu-west-1", Credentials: aws.AnonymousCredentials{}, HTTPClient: m})
}

func TestASecretThatWasRotatedIsGoodForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{text: "first"}
		text := m.reader().Text("admin")
		want := func(want string, reads int) {
			t.Helper()
			if got, err := text(t.Context()); err != nil || got != want || m.reads != reads {
				t.Errorf("got %q after %d reads, %v; want %q after %d", got, m.reads, err, want, reads)
			}
		}
		want("first", 1)
		m.text = "second"
		time.Sleep(time.Minute - time.Millisecond)
		want("first", 1)
		time.Sleep(time.Millisecond)
		want("second", 2)
	})
}

// An empty secret would open everything to whoever gives none.
func TestASecretIsNeverEmpty(t *testing.T) {
	m := &manager{}
	text := m.reader().Text("admin")
	if got, err := text(t.Context()); err == nil {
		t.Errorf("got %q, want an error", got)
	}
	m.text = "set"
	if got, err := text(t.Context()); err != nil || got != "set" {
		t.Errorf("once it is set: got %q, %v", got, err)
	}
}
