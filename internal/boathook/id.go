package boathook

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The kinds of ids. An id is its kind, an underscore and 24 characters of
// lower-case base32 (15 bytes).
const (
	WorkspaceID  = "ws"
	DeploymentID = "dep"
	CrewID       = "crew"
	AgentID      = "agent"
	RepositoryID = "repo"
	AppID        = "app"
	CustomerID   = "cus"
	AlertsID     = "alerts"
	VersionID    = "ver"
	IncomingID   = "in"
	OutgoingID   = "out"
	RunID        = "run"
	EventID      = "evt"
	TokenID      = "tok"
	RequestID    = "req"
)

const idBytes = 15

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID makes a random id of a kind, such as "run_…".
func NewID(kind string) string {
	var b [idBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return kind + "_" + idEncoding.EncodeToString(b[:])
}

// DeriveID makes the id that follows from parts: the same parts give the
// same id, so that a repeated step finds what its first time has made.
func DeriveID(kind string, parts ...string) string {
	sum := digest(parts...)
	return kind + "_" + idEncoding.EncodeToString(sum[:idBytes])
}

// HasIDKind reports whether id is of a kind by its prefix.
func HasIDKind(id, kind string) bool {
	return strings.HasPrefix(id, kind+"_")
}

// The longest ids, in bytes.
const (
	MaxIDLength        = 64
	MaxForeignIDLength = 128
)

// IsID reports whether s has the form of an id of Boathook's own: 1 to
// [MaxIDLength] of the characters a-z, 0-9, _ and -. Under a text of another form
// nothing can be stored or found; see package store.
func IsID(s string) bool {
	return s != "" && len(s) <= MaxIDLength && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// IsForeignID reports whether s has the form of an id that others choose, such
// as API Gateway for a WebSocket, or a caller for an event: 1 to
// [MaxForeignIDLength] bytes of printable characters and spaces, in UTF-8.
func IsForeignID(s string) bool {
	return s != "" && len(s) <= MaxForeignIDLength && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// digest hashes parts with their lengths, so that ("ab", "c") and ("a", "bc")
// differ.
func digest(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, p := range parts {
		var n [4]byte
		n[0], n[1], n[2], n[3] = byte(len(p)>>24), byte(len(p)>>16), byte(len(p)>>8), byte(len(p))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
