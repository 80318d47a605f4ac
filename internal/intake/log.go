package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

// What is kept of a request fits one write unit.
const (
	maxReason      = 200 // bytes
	maxHeaderValue = 100 // bytes of a header that is kept
	maxHeaderNames = 300 // bytes in all

	keepTimeout = time.Second
)

// receiver is what a request is kept of: an incoming webhook, or an agent, which is
// its own source.
type receiver struct{ workspaceID, sourceID, id string }

func receiverOf(w *boathook.IncomingWebhook) receiver {
	return receiver{w.WorkspaceID, w.SourceID, w.ID}
}

// keep writes a request that started no run to its receiver's log. One that did
// is known by its run. A failure is nobody's but the log's.
func (in *Intake) keep(r request, to receiver, res result, status int) {
	if res.outcome == boathook.RequestAccepted {
		return
	}
	slot, ok := in.slots.take(ring{to.id, res.outcome == boathook.RequestRejected}, r.at)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keepTimeout)
	defer cancel()
	kept := boathook.Request{
		ID: boathook.NewID(boathook.RequestID), WorkspaceID: to.workspaceID, WebhookID: to.id, At: r.at,
		Outcome: res.outcome, Status: status, Reason: boathook.Shorten(res.reason, maxReason), RunID: res.run.ID,
		Sender: senderOf(r),
	}
	in.Log.InfoContext(ctx, "trigger started no run", "request_id", kept.ID, "source_id", to.sourceID,
		"webhook_id", to.id, "outcome", kept.Outcome, "status", status, "reason", kept.Reason)
	if err := in.Store.PutRequest(ctx, slot, kept); err != nil {
		in.Log.WarnContext(ctx, "request is not in its webhook's log", "request_id", kept.ID, "webhook_id", to.id, "error", err)
	}
}

func senderOf(r request) *boathook.Sender {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = ""
	}
	s := &boathook.Sender{
		IP:          ip,
		UserAgent:   boathook.Shorten(r.UserAgent(), maxHeaderValue),
		ContentType: boathook.Shorten(r.Header.Get("Content-Type"), maxHeaderValue),
		Headers:     headerNames(r),
		BodySize:    len(r.wire),
	}
	if r.bodyErr == nil {
		sum := sha256.Sum256(r.wire)
		s.BodySHA256 = hex.EncodeToString(sum[:])
	}
	return s
}

// headerNames are those of the sender's own headers, as many as are kept.
func headerNames(r request) (names []string) {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if strings.HasPrefix(name, "X-Amzn-") || strings.HasPrefix(name, "X-Forwarded-") || name == "X-Request-Id" {
			continue // the gateway's
		}
		if size += len(name); size > maxHeaderNames {
			break
		}
		names = append(names, strings.ToValidUTF8(name, ""))
	}
	return names
}

// A webhook's log has slots, which later requests reuse: ten for each of twenty
// minutes. Thus a flood drives out what came twenty minutes ago, not what came
// a minute ago, and this process makes no more than ten writes a minute for it.
const (
	slotsPerMinute = 10
	slotMinutes    = store.RequestSlots / slotsPerMinute
)

// ring is the slots of a webhook's requests of one kind.
type ring struct {
	webhookID string
	rejected  bool
}

// slots remembers which slots of the current minute this process has used.
type slots struct {
	mu     sync.Mutex
	minute int64
	used   map[ring]use
}

type use struct {
	first int // at random, so that processes seldom take one another's
	count int
}

// take gives a slot; false if the minute's are used up.
func (s *slots) take(r ring, now time.Time) (slot int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	minute := now.Unix() / 60
	if s.used == nil || minute != s.minute {
		s.minute, s.used = minute, make(map[ring]use)
	}
	u, begun := s.used[r]
	if !begun {
		u.first = rand.IntN(slotsPerMinute)
	}
	if u.count == slotsPerMinute {
		return 0, false
	}
	slot = int(minute%slotMinutes)*slotsPerMinute + (u.first+u.count)%slotsPerMinute
	u.count++
	s.used[r] = u
	return slot, true
}
