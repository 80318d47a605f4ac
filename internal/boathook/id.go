package boathook

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// The kinds of ids. An id is its kind, an underscore and 24 characters of
// lower-case base32 (15 bytes).
const (
	WorkspaceID  = "ws"
	DeploymentID = "dep"
	RepositoryID = "repo"
	AppID        = "app"
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
