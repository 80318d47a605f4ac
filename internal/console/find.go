package console

import (
	"context"
	"strings"

	"boathook/internal/boathook"
	"boathook/internal/service"
)

// foundRow is a thing that was found.
type foundRow struct {
	service.Finding
	Path, Icon string
	Text       string // what it is
}

// find finds a name or an id, and goes there if there is one such thing.
func (c *Console) find(ctx context.Context, r *request) (answer, error) {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	var found service.Findings
	if q != "" {
		var err error
		if found, err = c.cfg.Service.Search.Find(ctx, r.caller, q); err != nil {
			return answer{}, err
		}
	}
	rows := make([]foundRow, len(found.Found))
	for i, f := range found.Found {
		rows[i] = rowOf(f)
	}
	if len(rows) == 1 && !found.Partial {
		return r.redirect(rows[0].Path, "")
	}
	return r.page("find", view{Title: "Find", Nav: "find", Data: map[string]any{"Query": q, "Rows": rows, "Partial": found.Partial}})
}

// rowOf says what was found, and where it is.
func rowOf(f service.Finding) foundRow {
	row := foundRow{Finding: f, Path: pathOf(f.Source), Icon: "box", Text: sentence(string(f.What))}
	switch f.What {
	case service.FoundRun:
		row.Path, row.Icon = "/console/runs/"+f.ID, "play"
	case service.FoundDelivery:
		row.Path, row.Icon = "/console/deliveries/"+f.ID, "out"
	case service.FoundIncoming:
		row.Path, row.Icon = row.Path+"/incoming/"+f.ID, "in"
	case service.FoundOutgoing:
		row.Path, row.Icon = row.Path+"/outgoing/"+f.ID, "out"
	case service.FoundSession:
		row.Path, row.Icon = row.Path+"/runs", "agent"
	case service.FoundSource:
		row.Text, row.Icon = sourceText(f.Source.Kind)
	}
	return row
}

// sourceText is what a kind of source is called, and its picture.
func sourceText(kind boathook.SourceKind) (text, icon string) {
	for _, k := range kinds {
		if k.kind == kind {
			return sentence(k.One), k.Icon
		}
	}
	return sentence(string(kind)), "agent"
}
