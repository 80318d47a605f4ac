package boathook

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Role is what a token may do in its workspace. Each role may do what the
// ones before it may.
type Role string

// The roles, smallest first.
const (
	Viewer Role = "viewer" // reads
	Member Role = "member" // also writes
	Admin  Role = "admin"  // also manages tokens, targets and redrive
)

var ranks = map[Role]int{Viewer: 1, Member: 2, Admin: 3}

// Valid reports whether r is a role.
func (r Role) Valid() bool { return ranks[r] > 0 }

// Allows reports whether r may do what needs the role need.
func (r Role) Allows(need Role) bool { return r.Valid() && ranks[r] >= ranks[need] }

// Token is an API token as it is kept: its text is shown once and not stored.
type Token struct {
	ID          string
	WorkspaceID string
	Name        string
	Role        Role
	Hash        [sha256.Size]byte
	CreatedAt   time.Time
}

// APITokenPrefix begins every API token, so that scanners of leaked secrets
// can know one.
const APITokenPrefix = "bh_"

// NewAPIToken makes the text of a token: 256 random bits after the prefix.
func NewAPIToken() string {
	var b [32]byte
	rand.Read(b[:])
	return APITokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// HashToken is what is stored of a token. A plain hash is enough for 256
// random bits: there is nothing to guess.
func HashToken(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// Workspace is a tenant.
type Workspace struct {
	ID        string
	Name      string
	DataKey   []byte // encrypts the workspace's secrets; itself wrapped by the key service
	CreatedAt time.Time
	Portal    PortalSettings
}

// PortalSettings are how the portals of a workspace's customers look, and where they may
// be embedded. The zero one is Boathook's own look, embedded nowhere.
type PortalSettings struct {
	Name         string   // who speaks; empty: the workspace's name
	Accent       string   // a colour as "#7a2d63", of links and buttons; empty: Boathook's own
	AccentDark   string   // in its place on dark pages; empty: it follows from the accent
	FrameOrigins []string // of pages that may embed a portal, as "https://app.example.com"
}

// IsZero reports whether nothing is set.
func (p PortalSettings) IsZero() bool {
	return p.Name == "" && p.Accent == "" && p.AccentDark == "" && len(p.FrameOrigins) == 0
}

// MaxFrameOrigins is how many origins may embed a workspace's portals.
const MaxFrameOrigins = 10
