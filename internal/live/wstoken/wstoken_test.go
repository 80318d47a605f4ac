package wstoken_test

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/live/wstoken"
)

const secret = "b7Zk0Wm4VY2rS9dQxT1nLfGpHcJ6uEoA3iRtNvMyKsXwCzBh"

var now = time.Date(2026, 11, 21, 18, 0, 0, 999e6, time.UTC)

// bearer holds an API token, and stack the stack's own.
var (
	bearer = wstoken.Bearer{WorkspaceID: "ws_a", TokenID: "tok_a"}
	stack  = wstoken.Bearer{WorkspaceID: "ws_a"}
)

func TestATokenIsGoodForItsBearerAndFiveMinutes(t *testing.T) {
	for _, b := range []wstoken.Bearer{bearer, stack} {
		token := wstoken.New(secret, b, now)
		for _, at := range []time.Time{now, now.Add(wstoken.Lifetime - time.Second)} {
			if got, err := wstoken.Verify(secret, token, at); got != b || err != nil {
				t.Errorf("after %s: %+v, %v", at.Sub(now), got, err)
			}
		}
		if strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			t.Errorf("%s must be escaped in a URL", token)
		}
	}
}

func TestATokenIsWhatItWasYesterday(t *testing.T) {
	for b, want := range map[wstoken.Bearer]string{
		bearer: "ws_a.tok_a.1795284300.zQKERwj4XQx7O5QWBB7WTJu9R5wAouCVIxu_lEg3inM",
		stack:  "ws_a..1795284300.j_zWW4RqCaRVp6E4LdxdH8c7MrWavBYU1jsvzBeZ-Mw",
	} {
		if got := wstoken.New(secret, b, now); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAnythingElseIsRefusedWithoutAReason(t *testing.T) {
	token := wstoken.New(secret, bearer, now)
	claim, mac := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.'):]
	for name, tt := range map[string]struct {
		token string
		at    time.Time
	}{
		"one that has ended":            {token, now.Add(wstoken.Lifetime)},
		"one of another secret":         {wstoken.New("another", bearer, now), now},
		"one without a secret":          {wstoken.New("", bearer, now), now},
		"another workspace":             {strings.Replace(token, "ws_a", "ws_b", 1), now},
		"another API token":             {strings.Replace(token, "tok_a", "tok_b", 1), now},
		"without its API token":         {strings.Replace(token, "tok_a", "", 1), now},
		"a dot moved":                   {strings.Replace(token, "ws_a.tok_a", "ws.a_tok_a", 1), now},
		"a later end":                   {strings.Replace(claim, ".1", ".2", 1) + mac, now},
		"no signature":                  {claim + ".", now},
		"half a signature":              {token[:len(token)-20], now},
		"a signature with spare bits":   {token[:len(token)-1] + next(token[len(token)-1]), now},
		"a signature with a line break": {token + "\n", now},
		"no claim":                      {mac, now},
		"an end that is no number":      {"ws_a.soon" + mac, now},
		"an API token":                  {boathook.NewAPIToken(), now},
		"dots":                          {"..", now},
		"nothing":                       {"", now},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := wstoken.Verify(secret, tt.token, tt.at)
			if got != (wstoken.Bearer{}) || !boathook.IsKind(err, boathook.Unauthorized) {
				t.Fatalf("%+v, %v", got, err)
			}
			if _, plain := wstoken.Verify(secret, "", now); err.Error() != plain.Error() {
				t.Errorf("it says %q", err)
			}
		})
	}
}

// next is the letter after c in base64: where c ends a text that does not fill
// its last bits, lenient decoders take both for the same.
func next(c byte) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return letters[strings.IndexByte(letters, c)+1:][:1]
}
