package manage

import (
	"net/http"
	"strings"

	"boathook/internal/api/httpjson"
)

// call is a request of a known caller.
type call = httpjson.Call

// tokenOf is the bearer token of a request, whose scheme clients of GitHub's
// shapes call "token"; empty if there is none. With Basic authentication, where it
// is taken, the token is the password. As GitHub takes it, a token may stand in
// the user's place, beside no password or the word x-oauth-basic.
func tokenOf(r *http.Request, basic bool) string {
	if user, password, ok := r.BasicAuth(); ok && basic {
		if password == "" || password == "x-oauth-basic" {
			return user
		}
		return password
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "token") {
		return ""
	}
	return text
}
