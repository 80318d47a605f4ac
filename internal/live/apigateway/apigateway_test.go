package apigateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"boathook/internal/boathook"
	"boathook/internal/egress"
	"boathook/internal/live/apigateway"
)

// An id as API Gateway makes them: it needs escaping in a path.
const id = "L0SM9cOFvHcCI/w="

// newSockets answers the SDK's requests with a status, or an error's name and
// status, and keeps what was asked.
func newSockets(t *testing.T, status int, failure string) (sockets apigateway.Sockets, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*asked = append(*asked, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
		if failure != "" {
			w.Header().Set("X-Amzn-ErrorType", failure)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return apigateway.New(aws.Config{
		Region: "eu-west-1", Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, server.URL+"/live"), asked
}

func TestAFrameIsPostedToItsConnection(t *testing.T) {
	s, asked := newSockets(t, http.StatusOK, "")
	if err := s.Post(t.Context(), id, []byte(`{"type":"pong","payload":null}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`POST /live/@connections/L0SM9cOFvHcCI%2Fw%3D {"type":"pong","payload":null}`,
		`DELETE /live/@connections/L0SM9cOFvHcCI%2Fw%3D `,
	}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestAConnectionThatIsGoneIsNotFound(t *testing.T) {
	s, _ := newSockets(t, http.StatusGone, "GoneException")
	if err := s.Post(t.Context(), id, []byte("x")); !boathook.IsKind(err, boathook.NotFound) {
		t.Errorf("Post: %v", err)
	}
	if err := s.Close(t.Context(), id); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestAnyOtherAnswerIsAFailure(t *testing.T) {
	for name, status := range map[string]int{
		"LimitExceededException": http.StatusTooManyRequests, "ForbiddenException": http.StatusForbidden, "": http.StatusInternalServerError,
	} {
		s, _ := newSockets(t, status, name)
		for _, err := range []error{s.Post(t.Context(), id, []byte("x")), s.Close(t.Context(), id)} {
			if e := (*boathook.Error)(nil); err == nil || errors.As(err, &e) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	s, _ := newSockets(t, http.StatusOK, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Post(ctx, id, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("a post that is given up: %v", err)
	}
}

func TestAnInterimResponseEndsACall(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // says nothing until the client hangs up
	}))
	t.Cleanup(server.Close)
	s := apigateway.New(aws.Config{
		Region: "eu-west-1", Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, server.URL)
	for name, call := range map[string]func() error{
		"Post":  func() error { return s.Post(t.Context(), id, []byte("x")) },
		"Close": func() error { return s.Close(t.Context(), id) },
	} {
		if interim, ok := errors.AsType[*egress.InterimError](call()); !ok || interim.Status != http.StatusSwitchingProtocols {
			t.Errorf("%s: %v", name, interim)
		}
	}
}
