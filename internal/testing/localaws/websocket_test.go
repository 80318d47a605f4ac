package localaws_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/smithy-go"
	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"boathook/internal/testing/localaws"
)

// TestMain lets the test's own binary play a function.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		os.Exit(m.Run())
	}
	lambda.Start(play)
}

type event = events.APIGatewayWebsocketProxyRequest

// play prints its event, and does what the query or the frame asks for: it
// refuses, fails, or answers by the management API.
func play(ctx context.Context, e event) (events.APIGatewayProxyResponse, error) {
	if err := json.NewEncoder(os.Stdout).Encode(e); err != nil {
		return events.APIGatewayProxyResponse{}, err
	}
	switch e.QueryStringParameters["be"] + e.Body {
	case "refused":
		return events.APIGatewayProxyResponse{StatusCode: http.StatusTeapot}, nil
	case "failed":
		return events.APIGatewayProxyResponse{}, errors.New("as asked")
	case "mute":
		return events.APIGatewayProxyResponse{}, nil
	}
	client := apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(os.Getenv("ENDPOINT")), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	id := &e.RequestContext.ConnectionID
	post := func(id *string, text string) error {
		_, err := client.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: id, Data: []byte(text)})
		return err
	}
	var err error
	switch e.Body {
	case "post":
		err = post(id, "posted")
	case "post to nobody":
		err = post(aws.String("nobody"), "posted")
	case "post too much":
		err = post(id, strings.Repeat("x", 128<<10+1))
	case "get":
		var got *apigatewaymanagementapi.GetConnectionOutput
		if got, err = client.GetConnection(ctx, &apigatewaymanagementapi.GetConnectionInput{ConnectionId: id}); err == nil {
			err = post(id, *got.Identity.UserAgent)
		}
	case "wait": // until who serves this lets it go on
		_, _ = client.GetConnection(ctx, &apigatewaymanagementapi.GetConnectionInput{ConnectionId: aws.String("nobody")})
	case "delete":
		_, err = client.DeleteConnection(ctx, &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: id})
	}
	if refused, ok := errors.AsType[smithy.APIError](err); ok {
		err = post(id, refused.ErrorCode())
	}
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK}, err
}

// played is a folder with the binary of the function that is played.
func played(t *testing.T) (binaries string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binaries = t.TempDir()
	if err := os.Mkdir(filepath.Join(binaries, "Played"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(binaries, "Played", "bootstrap")); err != nil {
		t.Fatal(err)
	}
	return binaries
}

// sockets is a stack of a WebSocket API and the function that is played.
type sockets struct {
	t       *testing.T
	url     string
	printed *bufio.Scanner // by the function
	calls   chan string    // of the function
}

func newSockets(t *testing.T) *sockets {
	t.Helper()
	var template localaws.Template
	if err := json.Unmarshal([]byte(`{"Resources": {
		"Played": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "played", "Timeout": 30, "MemorySize": 128, "Environment": {
			"Variables": {"ENDPOINT": {"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live"}}}}},
		"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.go.to"}},
		"Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": {"ApiId": {"Ref": "Api"}, "StageName": "live"}},
		"Integration": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {"ApiId": {"Ref": "Api"}, "IntegrationType": "AWS_PROXY",
			"IntegrationUri": {"Fn::Sub": "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/${Played.Arn}/invocations"}}},
		"Connect": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"ApiId": {"Ref": "Api"}, "RouteKey": "$connect", "Target": {"Fn::Sub": "integrations/${Integration}"}}},
		"Disconnect": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"ApiId": {"Ref": "Api"}, "RouteKey": "$disconnect", "Target": {"Fn::Sub": "integrations/${Integration}"}}},
		"Default": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"ApiId": {"Ref": "Api"}, "RouteKey": "$default", "Target": {"Fn::Sub": "integrations/${Integration}"}}},
		"There": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {"ApiId": {"Ref": "Api"}, "RouteKey": "there", "Target": {"Fn::Sub": "integrations/${Integration}"}}}
	}}`), &template); err != nil {
		t.Fatal(err)
	}
	printed, log := io.Pipe()
	s := &sockets{t: t, printed: bufio.NewScanner(printed), calls: make(chan string, 100)}
	deployed, err := localaws.Deploy(t.Context(), localaws.Config{
		Template: &template, StackName: "test", Binaries: played(t),
		Log: func(string) io.Writer { return log },
		Called: func(c localaws.Call) {
			s.calls <- strings.Join([]string{c.From, c.Service, c.Action, http.StatusText(c.Status)}, " ")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(deployed.WebSocketAPI("Api"))
	s.url = strings.Replace(server.URL, "http", "ws", 1)
	t.Cleanup(func() {
		server.Close()
		printed.Close() // what is printed from here on is lost
		deployed.Close()
	})
	return s
}

func (s *sockets) dial(path string) *websocket.Conn {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.url+path, &websocket.DialOptions{HTTPHeader: http.Header{"User-Agent": {"tester"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// heard is the next event of the function.
func (s *sockets) heard() (e event) {
	s.t.Helper()
	for s.printed.Scan() {
		if json.Unmarshal(s.printed.Bytes(), &e) == nil { // otherwise it is the runtime's own line
			return e
		}
	}
	s.t.Fatal("the function printed nothing more")
	return e
}

func write(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// read is the next frame, or the reason why there is none.
func read(t *testing.T, conn *websocket.Conn) (string, error) {
	t.Helper()
	_, frame, err := conn.Read(patience(t))
	return string(frame), err
}

func TestWhatHappensToAConnectionIsAnEvent(t *testing.T) {
	s := newSockets(t)
	conn := s.dial("/live?token=a&token=b")
	opened := s.heard()
	if opened.Headers["User-Agent"] != "tester" || opened.QueryStringParameters["token"] != "b" ||
		cmp.Diff(opened.MultiValueQueryStringParameters, map[string][]string{"token": {"a", "b"}}) != "" {
		t.Errorf("it was opened with %+v", opened)
	}
	type told struct{ kind, route, body string }
	tell := func(e event) told {
		if c := e.RequestContext; c.ConnectionID != opened.RequestContext.ConnectionID || c.Stage != "live" || c.Identity.SourceIP != "127.0.0.1" ||
			c.DomainName != c.APIID+".execute-api.eu-west-1.amazonaws.com" || c.RequestID == "" || c.ConnectedAt != opened.RequestContext.ConnectedAt {
			t.Errorf("the context is %+v", c)
		}
		return told{e.RequestContext.EventType, e.RequestContext.RouteKey, e.Body}
	}
	got := []told{tell(opened)}
	for _, frame := range []string{"hello", `{"go":{"to":"there"}}`, `{"go":{"to":"nowhere"}}`, `{"go":"there"}`, `{"go":{"to":"$connect"}}`, `["there"]`} {
		write(t, conn, frame)
		got = append(got, tell(s.heard()))
	}
	if err := conn.Write(t.Context(), websocket.MessageBinary, []byte{0, 255}); err != nil {
		t.Fatal(err)
	}
	binary := s.heard()
	got = append(got, tell(binary))
	if !binary.IsBase64Encoded {
		t.Error("a binary frame is not encoded")
	}
	if err := conn.Close(4000, "enough"); err != nil {
		t.Fatal(err)
	}
	closed := s.heard()
	got = append(got, tell(closed))
	if c := closed.RequestContext; c.DisconnectStatusCode != 4000 || aws.ToString(c.DisconnectReason) != "enough" {
		t.Errorf("it was closed with %d %s", c.DisconnectStatusCode, aws.ToString(c.DisconnectReason))
	}
	want := []told{
		{"CONNECT", "$connect", ""},
		{"MESSAGE", "$default", "hello"},
		{"MESSAGE", "there", `{"go":{"to":"there"}}`},
		{"MESSAGE", "$default", `{"go":{"to":"nowhere"}}`},
		{"MESSAGE", "$default", `{"go":"there"}`},
		{"MESSAGE", "$default", `{"go":{"to":"$connect"}}`},
		{"MESSAGE", "$default", `["there"]`},
		{"MESSAGE", "$default", "AP8="},
		{"DISCONNECT", "$disconnect", ""},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(told{})); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAConnectionThatIsNotOpenedIsAnsweredAStatus(t *testing.T) {
	s := newSockets(t)
	for path, status := range map[string]int{
		"/live?be=refused": http.StatusTeapot, "/live?be=failed": http.StatusBadGateway, "/live?be=mute": http.StatusBadGateway,
		"/dead": http.StatusForbidden, "/": http.StatusForbidden,
	} {
		_, res, err := websocket.Dial(t.Context(), s.url+path, nil)
		if err == nil || res == nil || res.StatusCode != status {
			t.Errorf("%s: %v, %v, want %d", path, res, err, status)
		}
	}
	res, err := http.Get(strings.Replace(s.url, "ws", "http", 1) + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("a plain request: %d", res.StatusCode)
	}
}

func TestAFunctionReachesConnections(t *testing.T) {
	s := newSockets(t)
	conn := s.dial("/live")
	s.heard()
	for _, step := range []struct{ frame, want string }{
		{"post", "posted"},
		{"get", "tester"},
		{"post to nobody", "GoneException"},
		{"post too much", "PayloadTooLargeException"},
	} {
		write(t, conn, step.frame)
		s.heard()
		if got, err := read(t, conn); got != step.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", step.frame, got, err, step.want)
		}
	}
	for _, frame := range []string{"failed", "mute"} {
		write(t, conn, frame)
		id := s.heard().RequestContext.ConnectionID
		if got, err := read(t, conn); !strings.Contains(got, `"Internal server error","connectionId":"`+id) || err != nil {
			t.Errorf("%s: %q, %v", frame, got, err)
		}
	}
	write(t, conn, "delete")
	s.heard()
	if got, err := read(t, conn); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("deleted, it got %q, %v", got, err)
	}
	if e := s.heard(); e.RequestContext.EventType != "DISCONNECT" {
		t.Errorf("deleted, the function heard of %+v", e)
	}
	want := []string{
		"Played execute-api DeleteConnection No Content",
		"Played execute-api GetConnection OK",
		"Played execute-api PostToConnection Gone",
		"Played execute-api PostToConnection OK",
		"Played execute-api PostToConnection OK",
		"Played execute-api PostToConnection OK",
		"Played execute-api PostToConnection OK",
		"Played execute-api PostToConnection Request Entity Too Large",
	}
	var got []string
	for range want {
		got = append(got, <-s.calls) // a client may have its frame before the call is over
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
