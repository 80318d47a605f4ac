package claim_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/claim"
)

const (
	secret  = "b7Zk0Wm4VY2rS9dQxT1nLfGpHcJ6uEoA3iRtNvMyKsXwCzBh"
	purpose = claim.Purpose("a door\n")
)

var now = time.Date(2026, 11, 21, 18, 0, 0, 999e6, time.UTC)

func TestAClaimIsGoodUntilItEnds(t *testing.T) {
	end := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	signed := purpose.Sign(secret, end, "ws_a", "", "cus_a")
	for at, want := range map[time.Time]error{now: nil, end.Add(-1): nil, end: claim.ErrEnded, end.AddDate(1, 0, 0): claim.ErrEnded} {
		parts, until, err := purpose.Verify(secret, signed, 3, at)
		if !errors.Is(err, want) || want == nil && err != nil || !slices.Equal(parts, []string{"ws_a", "", "cus_a"}) || !until.Equal(end) {
			t.Errorf("at %s: %q until %s, %v", at, parts, until, err)
		}
	}
	if strings.Trim(signed, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
		t.Errorf("%s must be escaped in a URL", signed)
	}
}

func TestWhatWasSignedOtherwiseIsNoClaim(t *testing.T) {
	end := now.Add(time.Hour)
	signed := purpose.Sign(secret, end, "ws_a", "cus_a")
	for name, other := range map[string]string{
		"for another purpose": claim.Purpose("another door\n").Sign(secret, end, "ws_a", "cus_a"),
		"by another secret":   purpose.Sign("another", end, "ws_a", "cus_a"),
		"of more parts":       purpose.Sign(secret, end, "ws_a", "cus_a", "x"),
		"of fewer parts":      purpose.Sign(secret, end, "ws_a"),
		"with another part":   strings.Replace(signed, "cus_a", "cus_b", 1),
		"with a later end":    strings.Replace(signed, ".1", ".2", 1),
		"cut":                 signed[:len(signed)-1],
		"without dots":        "x",
		"empty":               "",
	} {
		if parts, _, err := purpose.Verify(secret, other, 2, now); !errors.Is(err, claim.ErrInvalid) || parts != nil {
			t.Errorf("one %s: %q, %v", name, parts, err)
		}
	}
}
