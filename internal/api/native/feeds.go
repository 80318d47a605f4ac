package native

import (
	"context"
	"encoding/json"
	"time"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Feeds are described with [service.Feeds].
type Feeds interface {
	Events(ctx context.Context, c service.Caller, of service.SourceRef, in service.FeedFilter) (service.FeedPart, error)
	Change(ctx context.Context, c service.Caller, of service.SourceRef, days *int) (int, error)
}

// feedView is a part of a feed. Its cursor is always there: a poller remembers it.
type feedView struct {
	Data          []feedEventView `json:"data"`
	NextCursor    string          `json:"next_cursor"`
	HasMore       bool            `json:"has_more"`
	RetentionDays int             `json:"event_retention_days"`
}

type feedEventView struct {
	ID          string             `json:"id"`
	Source      string             `json:"source"`
	Type        boathook.EventType `json:"type"`
	Environment *string            `json:"environment"`
	Channels    []string           `json:"channels"` // none: it was published without
	CreatedAt   boathook.Time      `json:"created_at"`
	PublishedAt boathook.Time      `json:"published_at"`
	Data        json.RawMessage    `json:"data"`
}

func viewFeedEvent(e service.FeedEvent) feedEventView {
	return feedEventView{
		ID: e.ID, Source: e.SourceID, Type: e.Type, Environment: httpjson.Nullable(string(e.Environment)), Channels: append([]string{}, e.Channels...),
		CreatedAt: boathook.Time{Time: e.Time}, PublishedAt: boathook.Time{Time: e.Published}, Data: e.Data,
	}
}

func (f face) listEvents(ctx context.Context, c httpjson.Call, _ httpjson.None) (feedView, error) {
	asked, err := feedFilter(c)
	if err != nil {
		return feedView{}, err
	}
	part, err := f.Feeds.Events(ctx, c.Caller, sourceInPath(c), asked)
	view := feedView{Data: make([]feedEventView, len(part.Events)), NextCursor: part.Next, HasMore: part.More, RetentionDays: part.RetentionDays}
	for i, e := range part.Events {
		view.Data[i] = viewFeedEvent(e)
	}
	return view, err
}

func feedFilter(c httpjson.Call) (in service.FeedFilter, err error) {
	p, err := c.Page()
	if err != nil {
		return in, err
	}
	query := c.URL.Query()
	in = service.FeedFilter{Cursor: p.Cursor, Limit: p.Limit, Type: boathook.EventType(query.Get("type"))}
	if in.Since, err = optionalTime(c, "since"); err != nil {
		return in, err
	}
	seconds, err := c.Number("wait_seconds", 0, 0, int(service.MaxFeedWait/time.Second))
	in.Wait = time.Duration(seconds) * time.Second
	return in, err
}

type feedSettings struct {
	RetentionDays *int `json:"event_retention_days"`
}

func (f face) changeEvents(ctx context.Context, c httpjson.Call, in feedSettings) (feedSettings, error) {
	days, err := f.Feeds.Change(ctx, c.Caller, sourceInPath(c), in.RetentionDays)
	return feedSettings{&days}, err
}
