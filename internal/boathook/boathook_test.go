package boathook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"boathook/internal/boathook"
)

func TestIDsCarryTheirKind(t *testing.T) {
	a, b := boathook.NewID(boathook.RunID), boathook.NewID(boathook.RunID)
	if a == b || !boathook.HasIDKind(a, boathook.RunID) || boathook.HasIDKind(a, boathook.EventID) || len(a) != len("run_")+24 {
		t.Errorf("got %s and %s", a, b)
	}
}

func TestADerivedIDFollowsFromItsPartsAlone(t *testing.T) {
	id := boathook.DeriveID(boathook.RunID, "in_a", "key")
	if id != boathook.DeriveID(boathook.RunID, "in_a", "key") {
		t.Error("the same parts give two ids")
	}
	for _, parts := range [][]string{{"in_a", "kez"}, {"in_ak", "ey"}, {"in_a", "key", ""}, {"in_akey"}} {
		if id == boathook.DeriveID(boathook.RunID, parts...) {
			t.Errorf("%q gives the same id as other parts", parts)
		}
	}
}

func TestAURLTokenComesBackFromItsText(t *testing.T) {
	source, webhook := boathook.NewID(boathook.DeploymentID), boathook.NewID(boathook.IncomingID)
	token := boathook.NewURLToken(source, webhook)
	got, ok := boathook.ParseURLToken(token.Text)
	if !ok || got != token {
		t.Fatalf("got %+v, %v; want %+v", got, ok, token)
	}
	w := boathook.IncomingWebhook{TokenHash: token.Hash()}
	if !w.Matches(got) {
		t.Error("the webhook does not match its own token")
	}
	if w.Matches(boathook.NewURLToken(source, webhook)) {
		t.Error("the webhook matches another token with the same ids")
	}
}

func TestWhatIsNoURLTokenIsRefused(t *testing.T) {
	good := boathook.NewURLToken(boathook.NewID(boathook.DeploymentID), boathook.NewID(boathook.IncomingID)).Text
	for _, text := range []string{"", "x", good[1:], good + "A", good[:len(good)-1] + "=", good[:len(good)-1] + "/", strings.Repeat("A", 5000), "é" + good} {
		if token, ok := boathook.ParseURLToken(text); ok {
			t.Errorf("%.80q was read as %+v", text, token)
		}
	}
}

func TestADeliveryIDIsAUUIDThatTellsItsTimeAndWebhook(t *testing.T) {
	at := time.Date(2026, 11, 21, 18, 0, 0, 123_000_000, time.UTC)
	for i := range 500 {
		webhook := boathook.NewID(boathook.OutgoingID)
		e := &boathook.Event{ID: fmt.Sprintf("evt_%d", i), Time: at}
		id := boathook.NewDeliveryID(e, webhook)

		u, err := uuid.Parse(id.String())
		if err != nil || u.Version() != 8 || u.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: version %d, variant %s, %v", id, u.Version(), u.Variant(), err)
		}
		if !id.Time().Equal(at) || id.Tag() != boathook.WebhookTag(webhook) {
			t.Fatalf("%s tells time %s and tag %x; want %s and %x", id, id.Time(), id.Tag(), at, boathook.WebhookTag(webhook))
		}
		if back, err := boathook.ParseDeliveryID(id.String()); err != nil || back != id {
			t.Fatalf("%s came back as %s, %v", id, back, err)
		}
		if id != boathook.NewDeliveryID(e, webhook) {
			t.Fatal("a repeated publish makes another delivery")
		}
	}
}

func TestLogsShowADeliveryIDAsItIsWritten(t *testing.T) {
	id := boathook.NewDeliveryID(&boathook.Event{ID: "evt_a", Time: time.Now()}, "out_a")
	var line strings.Builder
	slog.New(slog.NewJSONHandler(&line, nil)).Info("", "delivery_id", id)
	if !strings.Contains(line.String(), `"delivery_id":"`+id.String()+`"`) {
		t.Error(line.String())
	}
}

func TestDeliveryIDsSortByTimeAndSpreadOverShards(t *testing.T) {
	const webhook = "out_a"
	at := time.UnixMilli(1_771_143_284_003)
	shards := map[int]int{}
	seen := map[boathook.DeliveryID]bool{}
	for i := range 4000 {
		id := boathook.NewDeliveryID(&boathook.Event{ID: fmt.Sprint(i), Time: at}, webhook)
		if seen[id] {
			t.Fatalf("event %d has the id of another", i)
		}
		seen[id] = true
		shards[id.Shard(4)]++
		if before, after := boathook.FirstDeliveryID(at, webhook), boathook.FirstDeliveryID(at.Add(time.Millisecond), webhook); id.String() < before.String() || id.String() >= after.String() {
			t.Fatalf("%s is not between %s and %s", id, before, after)
		}
	}
	for shard := range 4 {
		if shards[shard] < 800 {
			t.Errorf("shard %d has %d of 4000", shard, shards[shard])
		}
	}
}

// Java's integers end at 2^31, and JavaScript's, and those of JSON's careful
// readers, at 2^53.
func TestNumbersFitTheirReadersAndTellApart(t *testing.T) {
	at := time.Date(2105, 11, 21, 18, 0, 0, 999_000_000, time.UTC)
	seen := map[int64]bool{}
	for i := range 1000 {
		w := boathook.OutgoingWebhook{ID: boathook.NewID(boathook.OutgoingID)}
		d := boathook.NewDeliveryID(&boathook.Event{ID: fmt.Sprint(i), Time: at}, "out_a")
		s := boathook.Source{ID: boathook.NewID(boathook.RepositoryID), WorkspaceID: "ws_a", Owner: fmt.Sprint(i)}
		for name, n := range map[string]int64{
			"webhook": int64(w.Number()), "repository": int64(s.Number()), "owner": int64(s.OwnerNumber()), "delivery": d.Number(),
		} {
			if n <= 0 || n >= 1<<53 || n >= 1<<31 && name != "delivery" {
				t.Fatalf("a %s has the number %d", name, n)
			}
			seen[n] = true
		}
		if got := boathook.NumberTime(d.Number()); !got.Equal(at.Truncate(time.Second)) {
			t.Fatalf("the number tells %s, want %s", got, at)
		}
	}
	if len(seen) < 3995 { // two may share one
		t.Errorf("%d numbers of 4000 differ", len(seen))
	}
}

func TestAnOwnersRepositoriesNameHimByOneNumber(t *testing.T) {
	site := boathook.Source{ID: "repo_a", WorkspaceID: "ws_a", Owner: "Acme"}
	shop := boathook.Source{ID: "repo_b", WorkspaceID: "ws_a", Owner: "acme"}
	other := boathook.Source{ID: "repo_c", WorkspaceID: "ws_b", Owner: "acme"}
	if site.OwnerNumber() != shop.OwnerNumber() || site.OwnerNumber() == other.OwnerNumber() || site.Number() == shop.Number() {
		t.Errorf("the owners are %d, %d and %d, the repositories %d and %d",
			site.OwnerNumber(), shop.OwnerNumber(), other.OwnerNumber(), site.Number(), shop.Number())
	}
}

func TestARepositoryIsFoundByItsNamesInAnyCase(t *testing.T) {
	id := boathook.NewRepositoryID("ws_a", "Acme", "Site")
	if !boathook.HasIDKind(id, boathook.RepositoryID) || id != boathook.NewRepositoryID("ws_a", "acme", "SITE") {
		t.Errorf("got %s", id)
	}
	if id == boathook.NewRepositoryID("ws_b", "acme", "site") || id == boathook.NewRepositoryID("ws_a", "acmes", "ite") {
		t.Error("another repository has the same id")
	}
}

func TestAnEventWithoutAnEnvironmentGoesToEach(t *testing.T) {
	for _, c := range []struct {
		webhook, event boathook.Environment
		want           bool
	}{
		{boathook.Production, boathook.Production, true},
		{boathook.Production, boathook.Staging, false},
		{boathook.Production, "", true},
		{"", boathook.Staging, true},
		{"", "", true},
	} {
		w := boathook.OutgoingWebhook{Enabled: true, Environment: c.webhook, Events: []boathook.EventType{boathook.EventRunFailed}}
		if got := w.Wants(boathook.EventRunFailed, c.event); got != c.want {
			t.Errorf("a webhook of %q wants an event of %q: %v", c.webhook, c.event, got)
		}
		if w.Wants(boathook.EventRunSucceeded, c.event) {
			t.Error("it wants a type that it has not asked for")
		}
	}
}

func TestWhatIsNoDeliveryIDIsRefused(t *testing.T) {
	good := boathook.NewDeliveryID(&boathook.Event{ID: "evt_a", Time: time.Now()}, "out_a").String()
	for _, s := range []string{
		"", "run_a", good[:35], good + "0", strings.ToUpper(good), "{" + good[:34] + "}", strings.ReplaceAll(good, "-", ""),
		uuid.NewString(), good[:14] + "4" + good[15:], good[:19] + "0" + good[20:], good[:8] + "_" + good[9:],
	} {
		if _, err := boathook.ParseDeliveryID(s); !boathook.IsKind(err, boathook.Invalid) {
			t.Errorf("%q: got %v, want an invalid error", s, err)
		}
	}
}

func TestCheckJSON(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, tc := range map[string]struct {
		body string
		want string // part of the error; empty for none
	}{
		"object":                      {`{"a":1}`, ""},
		"any value":                   {` "text" `, ""},
		"an integer beyond 64 bits":   {`123456789012345678901234567890`, ""},
		"duplicate keys":              {`{"a":1,"a":2}`, ""},
		"brackets inside a string":    {`"` + strings.Repeat(`[\"`, 2000) + `"`, ""},
		"as deep as is allowed":       {nested(boathook.MaxJSONDepth), ""},
		"one deeper":                  {nested(boathook.MaxJSONDepth + 1), "512 levels"},
		"very deep":                   {strings.Repeat("[", 200_000), "512 levels"},
		"nothing":                     {"", "not JSON: it is empty"},
		"white space":                 {" \n", "not JSON: it is empty"},
		"two values":                  {`{} {}`, "not JSON: it is broken at byte 4, '{'"},
		"cut short":                   {`{"a":`, "not JSON: it ends before it is complete"},
		"a form":                      {`a=1&b=2`, "not JSON: it looks like a form"},
		"XML":                         {"\n<?xml version=\"1.0\"?><a/>", "not JSON: it looks like XML or HTML"},
		"a multipart form":            {"--x\r\nContent-Disposition: form-data", "not JSON: it looks like a multipart form"},
		"text":                        {"Hello, World!", "not JSON: it looks like plain text"},
		"almost a number":             {"1 apple", "not JSON: it looks like plain text"},
		"gzip":                        {"\x1f\x8b\x08\x00", "not JSON: it is gzip, without the header Content-Encoding: gzip"},
		"broken behind a letter":      {`{"ü":ü}`, "not JSON: it is broken at byte 7, 'ü'"},
		"not UTF-8":                   {"\"\xff\"", "UTF-8"},
		"UTF-16":                      {"\xff\xfe{\x00}\x00", "UTF-8"},
		"a byte order mark":           {"\xef\xbb\xbf{}", "not JSON: it begins with a byte order mark"},
		"more closed than was opened": {`]]]]{`, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			err := boathook.CheckJSON([]byte(tc.body))
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !boathook.IsKind(err, boathook.Invalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an invalid error with %q", err, tc.want)
			}
		})
	}
}

// What CheckJSON lets in can be carried in an event.
func TestTheDeepestInputFitsARunAndItsEvent(t *testing.T) {
	deepest := json.RawMessage(strings.Repeat("[", boathook.MaxJSONDepth) + strings.Repeat("]", boathook.MaxJSONDepth))
	r := boathook.Run{RunHead: boathook.RunHead{ID: "run_a", Status: boathook.RunSucceeded}, Input: boathook.NewBody(deepest), Output: deepest}
	event, ok := r.Event()
	if !ok || !json.Valid(event.Data) || strings.Count(string(event.Data), string(deepest)) != 2 {
		t.Errorf("the event does not hold the input and the output: %.100s", event.Data)
	}
}

func TestARunThatHasLostItsInputIsTold(t *testing.T) {
	r := boathook.Run{RunHead: boathook.RunHead{ID: "run_a", Status: boathook.RunFailed}}
	if e, ok := r.Event(); !ok || !strings.Contains(string(e.Data), `"input":null,`) {
		t.Errorf("told as %s, %v", e.Data, ok)
	}
}

func TestARunHasAnEventWhenItSucceededOrFailed(t *testing.T) {
	for status, want := range map[boathook.RunStatus]boathook.EventType{
		boathook.RunPending: "", boathook.RunRunning: "", boathook.RunCanceled: "",
		boathook.RunSucceeded: boathook.EventRunSucceeded, boathook.RunFailed: boathook.EventRunFailed,
	} {
		r := boathook.Run{RunHead: boathook.RunHead{ID: "run_a", Status: status}}
		event, ok := r.Event()
		if ok != (want != "") || event.Type != want {
			t.Errorf("%s: got %q, %v; want %q", status, event.Type, ok, want)
		}
	}
}

func TestRolesIncludeTheSmallerOnes(t *testing.T) {
	roles := []boathook.Role{boathook.Viewer, boathook.Member, boathook.Admin}
	for i, r := range roles {
		for j, need := range roles {
			if got := r.Allows(need); got != (i >= j) {
				t.Errorf("%s allows what needs %s: %v", r, need, got)
			}
		}
	}
	if boathook.Role("owner").Allows(boathook.Viewer) || boathook.Role("").Allows("") {
		t.Error("a role that is none allows something")
	}
}

func TestErrorKindsAreFoundWhenWrapped(t *testing.T) {
	err := fmt.Errorf("put run: %w", boathook.InvalidField("url", "longer than %d characters", 10))
	if !boathook.IsKind(err, boathook.Invalid) || boathook.IsKind(err, boathook.NotFound) || boathook.IsKind(errors.New("x"), boathook.Invalid) {
		t.Error("the kind is not found, or found where there is none")
	}
	if err.Error() != "put run: url: longer than 10 characters" {
		t.Errorf("got %q", err)
	}
}

func FuzzCheckJSONLetsNothingInThatCanNotBeCarried(f *testing.F) {
	for _, seed := range []string{`{}`, `[[[]]]`, `"\"[\\"`, `1e999`, "\xff", `{"a":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if boathook.CheckJSON(body) != nil {
			return
		}
		r := boathook.Run{RunHead: boathook.RunHead{Status: boathook.RunFailed}, Input: boathook.NewBody(body)}
		if event, _ := r.Event(); !json.Valid(event.Data) {
			t.Errorf("the event's data is not JSON: %q", event.Data)
		}
	})
}

func TestWhatAnIDIs(t *testing.T) {
	long, longForeign := strings.Repeat("a", boathook.MaxIDLength), strings.Repeat("a", boathook.MaxForeignIDLength)
	for _, tc := range []struct {
		text        string
		is, foreign bool
	}{
		{boathook.NewID(boathook.RunID), true, true},
		{boathook.DeriveID(boathook.EventID, "a", "\x00#"), true, true},
		{"ws_local", true, true},
		{"a-b", true, true},
		{long, true, true},
		{long + "a", false, true},
		{longForeign, false, true},
		{longForeign + "a", false, false},
		{"", false, false},
		{"L0SM9cOFvHcCIhw=", false, true},
		{"order #4711", false, true},
		{"bestellung-ü", false, true},
		{"out_a#health", false, true},
		{"dep_a/..", false, true},
		{"RUN_A", false, true},
		{"run_a\n", false, false},
		{"run_a\x00", false, false},
		{"run_\xff", false, false},
		{"run_\u202e", false, false},
		{strings.Repeat("é", boathook.MaxForeignIDLength/2+1), false, false},
	} {
		if is, foreign := boathook.IsID(tc.text), boathook.IsForeignID(tc.text); is != tc.is || foreign != tc.foreign {
			t.Errorf("%.80q: an id %t, others' %t; want %t, %t", tc.text, is, foreign, tc.is, tc.foreign)
		}
	}
}
