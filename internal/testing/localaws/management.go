package localaws

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// managementService is what requests to the management API are signed for.
const managementService = "execute-api"

// managementAction is what such a request does.
var managementAction = map[string]string{
	http.MethodPost: "PostToConnection", http.MethodGet: "GetConnection", http.MethodDelete: "DeleteConnection",
}

// management is the API by which functions reach connections. Its paths begin
// with the API's id, which on AWS is in the host.
func (d *Cloud) management() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{api}/{stage}/@connections/{id}", func(w http.ResponseWriter, r *http.Request) {
		a := d.webSockets[r.PathValue("api")]
		if a == nil {
			refuse(w, http.StatusForbidden, "ForbiddenException")
			return
		}
		c := a.find(r.PathValue("stage"), r.PathValue("id"))
		if c == nil {
			refuse(w, http.StatusGone, "GoneException")
			return
		}
		c.manage(w, r)
	})
	return mux
}

func refuse(w http.ResponseWriter, status int, exception string) {
	w.Header().Set("X-Amzn-ErrorType", exception)
	gatewayAnswer(w, status, `{"message":null}`)
}

// manage does to a connection what a request asks for.
func (c *connection) manage(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		frame, _ := io.ReadAll(r.Body) // from memory: the proxy has read it
		switch {
		case len(frame) > maxMessage:
			refuse(w, http.StatusRequestEntityTooLarge, "PayloadTooLargeException")
		case c.post(r.Context(), frame) != nil:
			refuse(w, http.StatusGone, "GoneException")
		default:
			w.WriteHeader(http.StatusOK)
		}
	case http.MethodGet:
		text, err := json.Marshal(map[string]any{
			"connectedAt": c.connectedAt.UTC(), "lastActiveAt": time.UnixMilli(c.lastActive.Load()).UTC(),
			"identity": map[string]string{"sourceIp": c.identity.SourceIP, "userAgent": c.identity.UserAgent},
		})
		if err != nil {
			gatewayAnswer(w, http.StatusInternalServerError, gatewayBroken)
			return
		}
		gatewayAnswer(w, http.StatusOK, string(text))
	case http.MethodDelete:
		c.api.end(c)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusForbidden, "ForbiddenException")
	}
}
