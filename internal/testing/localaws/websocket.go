package localaws

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"
)

// What a WebSocket API limits, and answers by itself.
const (
	maxMessage        = 128 << 10 // bytes, in either direction
	writeTimeout      = 5 * time.Second
	gatewayForbidden  = `{"message":"Forbidden"}`
	gatewayUpgrade    = `{"message":"Upgrade Required"}`
	integrationFailed = `{"message":"Internal server error","connectionId":%q,"requestId":%q}`
	defaultRoute      = "$default"
)

// hostSuffix follows an API's id in its host.
const hostSuffix = ".execute-api." + region + ".amazonaws.com"

// apiURL is an API's URL on AWS, without its stage.
var apiURL = regexp.MustCompile(`https://([\w-]+)` + regexp.QuoteMeta(hostSuffix))

// WebSocketAPI is a WebSocket API of the stack. As an [http.Handler] it opens
// connections on the paths of its stages. Frames of one connection may be
// handed over at once, and a failed function's $disconnect is not repeated, as
// on AWS; connections that are idle or old are not closed.
type WebSocketAPI struct {
	cloud    *Cloud
	id       string
	stages   []string
	routes   map[string]string // the functions' logical ids by the routes' keys
	selector []string          // where a frame's JSON holds the key of its route

	serving sync.WaitGroup // requests, the connections that they became, and their frames

	mu          sync.Mutex
	connections map[string]*connection
	closed      bool
}

// WebSocketAPI is the one of a logical id, or nil.
func (d *Cloud) WebSocketAPI(id string) *WebSocketAPI {
	ref, err := d.resolver.ref(id)
	if err != nil {
		return nil
	}
	return d.webSockets[fmt.Sprint(ref)]
}

// webSocketAPIs makes the stack's WebSocket APIs from their resources: a loop for each
// type, in the order in which they refer to each other.
func (d *Cloud) webSocketAPIs() error {
	d.webSockets = make(map[string]*WebSocketAPI)
	for _, id := range d.resolver.resources("AWS::ApiGatewayV2::Api") {
		var p struct{ ProtocolType, RouteSelectionExpression string }
		if err := d.resolver.properties(id, &p); err != nil {
			return err
		}
		if p.ProtocolType != "WEBSOCKET" {
			continue
		}
		path, ok := strings.CutPrefix(p.RouteSelectionExpression, "$request.body.")
		if !ok {
			return fmt.Errorf("%s: routes selected by %q are not served here", id, p.RouteSelectionExpression)
		}
		a := &WebSocketAPI{
			cloud: d, id: d.resolver.made[id].ref, routes: make(map[string]string), selector: strings.Split(path, "."),
			connections: make(map[string]*connection),
		}
		d.webSockets[a.id] = a
	}
	functions := make(map[string]string) // by the targets that lead to them
	for _, id := range d.resolver.resources("AWS::ApiGatewayV2::Integration") {
		var p struct{ IntegrationType, IntegrationURI string }
		if err := d.resolver.properties(id, &p); err != nil {
			return err
		}
		m := functionOf.FindStringSubmatch(p.IntegrationURI)
		if m == nil || d.ids[m[1]] == "" || p.IntegrationType != "AWS_PROXY" {
			return fmt.Errorf("%s leads to %s %q", id, p.IntegrationType, p.IntegrationURI)
		}
		functions["integrations/"+d.resolver.made[id].ref] = d.ids[m[1]]
	}
	for _, id := range d.resolver.resources("AWS::ApiGatewayV2::Route") {
		var p struct{ APIID, RouteKey, Target string }
		if err := d.resolver.properties(id, &p); err != nil {
			return err
		}
		a := d.webSockets[p.APIID]
		if a == nil || functions[p.Target] == "" {
			return fmt.Errorf("%s leads from %s to %q", id, p.APIID, p.Target)
		}
		a.routes[p.RouteKey] = functions[p.Target]
	}
	for _, id := range d.resolver.resources("AWS::ApiGatewayV2::Stage") {
		var p struct{ APIID, StageName string }
		if err := d.resolver.properties(id, &p); err != nil {
			return err
		}
		if a := d.webSockets[p.APIID]; a != nil {
			a.stages = append(a.stages, p.StageName)
		}
	}
	return nil
}

// connection is an open WebSocket.
type connection struct {
	api         *WebSocketAPI
	id, stage   string
	identity    events.APIGatewayRequestIdentity
	connectedAt time.Time
	lastActive  atomic.Int64 // Unix milliseconds
	conn        *websocket.Conn
}

// ServeHTTP serves a client from its handshake to its end.
func (a *WebSocketAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.serving.Add(1)
	defer a.serving.Done()
	stage := strings.TrimPrefix(r.URL.Path, "/")
	if !slices.Contains(a.stages, stage) {
		gatewayAnswer(w, http.StatusForbidden, gatewayForbidden)
		return
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		gatewayAnswer(w, http.StatusUpgradeRequired, gatewayUpgrade)
		return
	}
	ctx := context.WithoutCancel(r.Context())   // the connection outlives what its request's is for
	ip, _, _ := net.SplitHostPort(r.RemoteAddr) // it is the server's own
	c := &connection{
		api: a, id: newConnectionID(), stage: stage, connectedAt: time.Now(),
		identity: events.APIGatewayRequestIdentity{SourceIP: ip, UserAgent: r.UserAgent()},
	}
	if status := c.tell(ctx, c.opening(r)); status < 200 || status > 299 {
		w.WriteHeader(status)
		return
	}
	// Any page may connect: API Gateway does not look at the origin.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err == nil {
		conn.SetReadLimit(maxMessage)
		c.conn = conn
		err = c.serve(ctx)
	}
	_ = c.tell(ctx, c.ending(err)) // its status is of no use to anyone
}

// newConnectionID is one as AWS makes them: it needs escaping in a path.
func newConnectionID() string {
	random := make([]byte, 11)
	_, _ = rand.Read(random) // it never fails
	return base64.StdEncoding.EncodeToString(random)
}

// serve hands over a client's frames until the connection ends, and gives the
// error that ended it.
func (c *connection) serve(ctx context.Context) error {
	c.lastActive.Store(c.connectedAt.UnixMilli())
	c.api.add(c)
	defer c.api.remove(c)
	for {
		kind, frame, err := c.conn.Read(ctx)
		if err != nil {
			return err
		}
		c.lastActive.Store(time.Now().UnixMilli())
		c.api.serving.Go(func() {
			e := c.message(kind, frame)
			if c.tell(ctx, e) == http.StatusBadGateway {
				_ = c.post(ctx, fmt.Appendf(nil, integrationFailed, c.id, e.RequestContext.RequestID)) // it may have gone
			}
		})
	}
}

// tell has the function of an event's route handle it, and gives the status
// that it answers. Where there is no such route, nobody hears of the event.
func (c *connection) tell(ctx context.Context, e events.APIGatewayWebsocketProxyRequest) (status int) {
	function, ok := c.api.routes[e.RequestContext.RouteKey]
	if !ok {
		return http.StatusOK
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return http.StatusBadGateway
	}
	var answer events.APIGatewayProxyResponse
	response, err := c.api.cloud.Invoke(ctx, function, payload)
	if err != nil || json.Unmarshal(response, &answer) != nil || answer.StatusCode == 0 {
		return http.StatusBadGateway
	}
	return answer.StatusCode
}

func (c *connection) opening(r *http.Request) events.APIGatewayWebsocketProxyRequest {
	e := c.event("$connect", "CONNECT")
	e.MultiValueHeaders = map[string][]string{"Host": {r.Host}, "X-Forwarded-For": {c.identity.SourceIP}, "X-Forwarded-Proto": {"http"}}
	maps.Copy(e.MultiValueHeaders, r.Header)
	e.Headers = last(e.MultiValueHeaders)
	if query := r.URL.Query(); len(query) > 0 {
		e.MultiValueQueryStringParameters = query
		e.QueryStringParameters = last(query)
	}
	return e
}

// last are the values of what may have several.
func last(values map[string][]string) map[string]string {
	single := make(map[string]string, len(values))
	for name, list := range values {
		single[name] = list[len(list)-1]
	}
	return single
}

func (c *connection) message(kind websocket.MessageType, frame []byte) events.APIGatewayWebsocketProxyRequest {
	e := c.event(c.api.route(frame), "MESSAGE")
	e.RequestContext.MessageID = e.RequestContext.RequestID
	if kind == websocket.MessageBinary {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(frame), true
	} else {
		e.Body = string(frame)
	}
	return e
}

func (c *connection) ending(err error) events.APIGatewayWebsocketProxyRequest {
	closed := websocket.CloseError{Code: websocket.StatusAbnormalClosure, Reason: "Connection closed abnormally"}
	errors.As(err, &closed)
	e := c.event("$disconnect", "DISCONNECT")
	e.RequestContext.DisconnectStatusCode, e.RequestContext.DisconnectReason = int64(closed.Code), &closed.Reason
	return e
}

func (c *connection) event(key, kind string) events.APIGatewayWebsocketProxyRequest {
	now := time.Now()
	request := rand.Text()
	return events.APIGatewayWebsocketProxyRequest{RequestContext: events.APIGatewayWebsocketProxyRequestContext{
		RouteKey: key, EventType: kind, MessageDirection: "IN", ConnectionID: c.id, ConnectedAt: c.connectedAt.UnixMilli(),
		APIID: c.api.id, Stage: c.stage, DomainName: c.api.id + hostSuffix, Identity: c.identity,
		RequestID: request, ExtendedRequestID: request,
		RequestTime: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), RequestTimeEpoch: now.UnixMilli(),
	}}
}

// route is the key of the route that the API's expression selects for a frame.
func (a *WebSocketAPI) route(frame []byte) string {
	var value any
	if json.Unmarshal(frame, &value) != nil {
		return defaultRoute
	}
	for _, name := range a.selector {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	key, _ := value.(string)
	if _, ok := a.routes[key]; !ok || strings.HasPrefix(key, "$") {
		return defaultRoute
	}
	return key
}

func (a *WebSocketAPI) add(c *connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.connections[c.id] = c
	if a.closed {
		_ = c.conn.CloseNow()
	}
}

func (a *WebSocketAPI) remove(c *connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.connections, c.id)
}

// end closes a connection, and does not wait for its client's answer.
func (a *WebSocketAPI) end(c *connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.connections[c.id] != nil { // so it is still served
		delete(a.connections, c.id)
		a.serving.Go(func() { _ = c.conn.Close(websocket.StatusNormalClosure, "") })
	}
}

// find is an open connection of a stage, or nil.
func (a *WebSocketAPI) find(stage, id string) *connection {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.connections[id]; c != nil && c.stage == stage {
		return c
	}
	return nil
}

// close ends all connections, and returns when none is left.
func (a *WebSocketAPI) close() {
	a.mu.Lock()
	a.closed = true
	for _, c := range a.connections {
		_ = c.conn.CloseNow()
	}
	a.mu.Unlock()
	a.serving.Wait()
}

// post sends a frame. One that the client does not take ends the connection.
func (c *connection) post(ctx context.Context, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	c.lastActive.Store(time.Now().UnixMilli())
	return c.conn.Write(ctx, websocket.MessageText, frame)
}
