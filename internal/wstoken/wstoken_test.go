package wstoken_test

import (
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/wstoken"
)

const secret = "b7Zk0Wm4VY2rS9dQxT1nLfGpHcJ6uEoA3iRtNvMyKsXwCzBh"

var now = time.Date(2026, 11, 21, 18, 0, 0, 999e6, time.UTC)

func TestATokenIsGoodForItsWorkspaceAndFiveMinutes(t *testing.T) {
	token := wstoken.New(secret, "ws_a", now)
	for _, at := range []time.Time{now, now.Add(wstoken.Lifetime - time.Second)} {
		if ws, err := wstoken.Verify(secret, token, at); ws != "ws_a" || err != nil {
			t.Errorf("after %s: %q, %v", at.Sub(now), ws, err)
		}
	}
	if strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
		t.Errorf("%s must be escaped in a URL", token)
	}
}

func TestATokenIsWhatItWasYesterday(t *testing.T) {
	const want = "ws_a.1795284300.hQVuvMdEf4UFvls4KaULBZlze2ETLN-we2kLJF9f15c"
	if got := wstoken.New(secret, "ws_a", now); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAnythingElseIsRefusedWithoutAReason(t *testing.T) {
	token := wstoken.New(secret, "ws_a", now)
	claim, mac := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.'):]
	for name, tt := range map[string]struct {
		token string
		at    time.Time
	}{
		"one that has ended":            {token, now.Add(wstoken.Lifetime)},
		"one of another secret":         {wstoken.New("another", "ws_a", now), now},
		"one without a secret":          {wstoken.New("", "ws_a", now), now},
		"another workspace":             {strings.Replace(token, "ws_a", "ws_b", 1), now},
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
			ws, err := wstoken.Verify(secret, tt.token, tt.at)
			if ws != "" || !boathook.IsKind(err, boathook.Unauthorized) {
				t.Fatalf("%q, %v", ws, err)
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
