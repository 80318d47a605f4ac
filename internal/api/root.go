package api

import (
	"net/http"
	"strings"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
)

// rootView says what answers here, to who has nothing but its address.
type rootView struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Description string `json:"description"`
	OpenAPI     string `json:"openapi"` // where the API's description is
	Health      string `json:"health"`
}

// root needs no token, as the API's description needs none. A browser goes to the console.
func (h *Handler) root(w http.ResponseWriter, r *http.Request) error {
	w.Header().Add("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/console/", http.StatusSeeOther)
		return nil
	}
	url := httpjson.PublicURL(r, h.server.PublicURL)
	return httpjson.Answer(w, http.StatusOK, rootView{
		Name: "Boathook", Version: boathook.Release,
		Description: "A webhook platform: incoming webhooks start runs, and events are delivered to outgoing webhooks. Calls need a token: Authorization: Bearer " + boathook.APITokenPrefix + "…",
		OpenAPI:     url + "/openapi.json", Health: url + "/healthz",
	})
}
