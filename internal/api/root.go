package api

import (
	"net/http"

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

// root needs no token, as the API's description needs none.
func (h *Handler) root(w http.ResponseWriter, r *http.Request) error {
	url := httpjson.PublicURL(r, h.server.PublicURL)
	return httpjson.Answer(w, http.StatusOK, rootView{
		Name: "Boathook", Version: boathook.Release,
		Description: "A webhook platform: incoming webhooks start runs, and events are delivered to outgoing webhooks. Calls need a token: Authorization: Bearer " + boathook.APITokenPrefix + "…",
		OpenAPI:     url + "/openapi.json", Health: url + "/healthz",
	})
}
