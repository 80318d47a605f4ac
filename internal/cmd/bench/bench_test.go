package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"boathook/internal/signature"
)

// TestMain is the floor where the program under test starts itself as it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == floorCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// fake is a Boathook that delivers an event before it answers for it, and has a fault.
type fake struct {
	url   string
	fault func(f *fake, number int, post func(change func([]byte) []byte)) // calls post as often as it delivers

	mu      sync.Mutex
	numbers int
	hooks   []hook
}

type hook struct{ url, secret string }

func newFake(t *testing.T, fault func(f *fake, number int, post func(func([]byte) []byte))) *fake {
	f := &fake{fault: fault}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/event-types/{type}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
	mux.HandleFunc("POST /v1/customers", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id":"cus_1"}`)
	})
	mux.HandleFunc("POST /v1/customers/cus_1/outgoing-webhooks", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ URL string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		secret := "whsec_" + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "the secret of webhook %10d", len(f.hooks)))
		f.hooks = append(f.hooks, hook{in.URL, secret})
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":"wh_1","signing_secret":%q}`, secret)
	})
	mux.HandleFunc("POST /v1/events", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		events, err := floorEvents(body)
		if err != nil {
			t.Error(err)
		}
		for _, e := range events {
			f.mu.Lock()
			number := f.numbers
			f.numbers++
			f.mu.Unlock()
			for _, h := range f.hooks {
				f.fault(f, number, func(change func([]byte) []byte) { f.post(t, h, e, change) })
			}
		}
		w.WriteHeader(http.StatusAccepted)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// post delivers an event whose signed body is changed.
func (f *fake) post(t *testing.T, h hook, e floorEvent, change func([]byte) []byte) {
	body := change(fmt.Appendf(nil, `{"type":%q,"data":%s}`, e.Type, e.Data))
	key, err := signature.StandardKey(h.secret)
	if err != nil {
		t.Error(err)
	}
	now := time.Now()
	req, err := http.NewRequest(http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Webhook-Id", "msg_1")
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature.Standard(key, "msg_1", now, body))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return // a receiver that hangs is closed in the end
	}
	res.Body.Close()
}

func asItIs(body []byte) []byte { return body }

// bench runs the program, and gives its first run.
func bench(t *testing.T, args ...string) (measured, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := execute(t.Context(), append(args, "-json", "-"), &stdout, &stderr)
	var m measured
	if stdout.Len() == 0 {
		return m, fmt.Errorf("%w\n%s", err, &stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), &m); err != nil {
		t.Fatalf("%v\n%s\n%s", err, &stdout, &stderr)
	}
	if err != nil {
		return m, fmt.Errorf("%w\n%s", err, &stderr)
	}
	return m, nil
}

func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	// Of 40 events the fifth and the sixth have a fault.
	faulty := func(number int) bool { return number == 4 || number == 5 }
	for name, tc := range map[string]struct {
		fault func(f *fake, number int, post func(func([]byte) []byte))
		want  run
		says  string
	}{
		"none": {func(_ *fake, _ int, post func(func([]byte) []byte)) { post(asItIs) }, run{Deliveries: 40}, ""},
		"loses": {func(_ *fake, n int, post func(func([]byte) []byte)) {
			if !faulty(n) {
				post(asItIs)
			}
		}, run{Deliveries: 38, Lost: 2}, "2 lost"},
		"doubles": {func(_ *fake, n int, post func(func([]byte) []byte)) {
			post(asItIs)
			if faulty(n) {
				post(asItIs)
			}
		}, run{Deliveries: 40, Doubled: 2}, "2 doubled"},
		"corrupts": {func(_ *fake, n int, post func(func([]byte) []byte)) {
			post(func(body []byte) []byte {
				if faulty(n) {
					return bytes.Replace(body, []byte(`"amount":`), []byte(`"amount":1`), 1)
				}
				return body
			})
		}, run{Deliveries: 38, Lost: 2, Corrupt: 2}, "2 corrupt"},
		"forges": {func(f *fake, n int, post func(func([]byte) []byte)) {
			if !faulty(n) {
				post(asItIs)
				return
			}
			res, err := http.Post(f.hooks[0].url, "application/json", strings.NewReader("{}"))
			if err == nil {
				res.Body.Close()
			}
		}, run{Deliveries: 38, Lost: 2, Forged: 2}, "2 forged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := bench(t, "-url", newFake(t, tc.fault).url, "-events", "30", "-warm", "10", "-patience", "1ms")
			if len(m.Runs) != 1 {
				t.Fatal(err)
			}
			got := m.Runs[0]
			if got.Accepted != 40 || got.Deliveries != tc.want.Deliveries || got.Lost != tc.want.Lost || got.Doubled != tc.want.Doubled ||
				got.Corrupt != tc.want.Corrupt || got.Forged != tc.want.Forged || got.LostBy[0] != tc.want.Lost {
				t.Errorf("got %+v\nwant %+v", got, tc.want)
			}
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), errWrong.Error())) {
				t.Errorf("it ends with %v, want %q", err, tc.says)
			}
		})
	}
}

// A server that answers for one request at a time, each after 20 ms, is behind a rate of
// 200 a second by 15 ms more with each event. Who counts from when a request was sent does
// not see it.
func TestTheOpenLoopCountsFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	slow := func(_ *fake, _ int, post func(func([]byte) []byte)) {
		time.Sleep(20 * time.Millisecond) // what is measured
		post(asItIs)
	}
	m, err := bench(t, "-url", newFake(t, slow).url, "-events", "20", "-warm", "0", "-publishers", "1", "-rate", "200")
	if err != nil {
		t.Fatal(err)
	}
	r := m.Runs[0]
	if r.EndToEnd.P50 < 150 || r.EndToEnd.Max < 300 || r.Accept.P50 < 150 {
		t.Errorf("from when they were due: %+v and %+v", r.EndToEnd, r.Accept)
	}
	closed, err := bench(t, "-url", newFake(t, slow).url, "-events", "20", "-warm", "0", "-publishers", "1")
	if err != nil {
		t.Fatal(err)
	}
	if c := closed.Runs[0]; c.EndToEnd.P50 < 20 || c.AcceptedPerSecond > 50 {
		t.Errorf("in the closed loop: %+v, %.0f/s", c.EndToEnd, c.AcceptedPerSecond)
	}
}

// Receivers that fail and hang are owed nothing, and a batch is done when the slow one has
// answered for all of it.
func TestReceiversOfEachKind(t *testing.T) {
	t.Parallel()
	var hanging sync.WaitGroup
	f := newFake(t, nil)
	f.fault = func(_ *fake, _ int, post func(func([]byte) []byte)) {
		hanging.Go(func() { post(asItIs) }) // nobody waits for those that hang
	}
	m, err := bench(t, "-url", f.url, "-events", "10", "-warm", "0", "-batch", "5",
		"-healthy", "2", "-slow", "1", "-latency", "50ms", "-failing", "1", "-hanging", "1")
	if err != nil {
		t.Fatal(err)
	}
	hanging.Wait()
	if r := m.Runs[0]; r.Deliveries != 30 || r.Done.P50 < 50 || r.Opened < 5 {
		t.Errorf("got %+v", r)
	}
}

func TestRefusedRequestsAreToldOf(t *testing.T) {
	t.Parallel()
	busy := newFake(t, func(_ *fake, _ int, post func(func([]byte) []byte)) { post(asItIs) })
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/events" {
			http.Error(w, "no more today", http.StatusTooManyRequests)
			return
		}
		http.Redirect(w, r, busy.url+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer front.Close()
	m, err := bench(t, "-url", front.URL, "-events", "5", "-warm", "0")
	if err == nil || !strings.Contains(err.Error(), "5 refused (answered 429 no more today)") {
		t.Errorf("it ends with %v", err)
	}
	if m.Runs[0].Refused != 5 {
		t.Errorf("got %+v", m.Runs[0])
	}
}

func TestWhatItIsToldIsChecked(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"", "one is needed of -serve, -url and -floor"},
		{"-serve x -url y", "-serve and -url: it is one or the other"},
		{"-floor -pid 1", "-token and -pid: they go with -url"},
		{"-floor -events 15 -warm 0 -batch 10", "-events and -warm: each must be a multiple of -batch"},
		{"-floor -events 0", "-events: 0 is not from 1 to 10000000"},
		{"-floor -healthy 0", "-healthy and -slow: there must be a receiver that answers"},
		{"-floor -rate -1", "-rate: must not be negative"},
		{"-floor -scenarios all", "-scenarios: it goes with -serve"},
		{"-serve x -scenarios lunch", `there is no "lunch"; there are all, flat-out, `},
		{"-floor -source agent", `-source: "agent" is neither customer nor app`},
		{"-floor now", `"now" is not a flag`},
	} {
		_, err := bench(t, strings.Fields(tc.args)...)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.args, err, tc.want)
		}
	}
}

// The program itself, with few events of each scenario: what make bench-load does.
func TestTheProgramIsMeasured(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "boathook")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "boathook/internal/cmd/boathook").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	names := "all"
	if testing.Short() {
		names = "flat-out,memory,kept"
	}
	file := filepath.Join(t.TempDir(), "report.json")
	var stdout, stderr bytes.Buffer
	if err := execute(t.Context(), []string{"-serve", program, "-scenarios", names, "-events", "10", "-rounds", "1", "-json", file}, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s\n%s", err, &stdout, &stderr)
	}
	var rep report
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Most != 10 || !strings.Contains(stdout.String(), "cut down to 10 events: what must hold was not measured") {
		t.Errorf("it is not said that loads were cut down to %d events:\n%s", rep.Most, &stdout)
	}
	if want, err := chosen(names); err != nil || len(rep.Scenarios) != len(want) {
		t.Errorf("there are %d scenarios of %d, %v", len(rep.Scenarios), len(want), err)
	}
	for _, m := range rep.Scenarios {
		for side, runs := range map[string][]run{"the floor": m.Floor, "the program": m.Runs} {
			for _, r := range runs {
				if want := 20 * int64(m.Plan.good()); r.Deliveries != want || r.DeliveredPerSecond == 0 || r.CPUSecondsPer10k == nil || r.PeakMB == nil || *r.PeakMB < 1 {
					t.Errorf("%s, %s: got %+v", m.Name, side, r)
				}
			}
		}
	}
	// The floor's CPU time for ten events may be none, and then there is no ratio.
	if !strings.Contains(stdout.String(), "peak memory after 10,000 deliveries, MB") || len(rep.Verdicts) < 3 {
		t.Errorf("what is judged:\n%s", &stdout)
	}
	entries, err := os.ReadDir(filepath.Dir(program))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the program there are %v, %v", entries, err)
	}
}

// What is measured is compared with the limit, by the median, and shown with its spread.
func TestLimits(t *testing.T) {
	runs := func(cpus ...float64) (list []run) {
		for _, cpu := range cpus {
			list = append(list, run{CPUSecondsPer10k: &cpu, PeakMB: new(59.0), DeliveredPerSecond: 1000})
		}
		return list
	}
	all := []measured{
		{Name: flatOut, Runs: runs(2, 9, 2.5, 1, 2.6), Floor: runs(1)},
		{Name: steady, Runs: runs(4.3), Floor: runs(2)},
	}
	got := make(map[string]verdict)
	for _, v := range judge(all) {
		got[v.Claim] = v
	}
	for claim, want := range map[string]struct {
		value, limit float64
		holds        bool
	}{
		"CPU per delivery on disk, in the floor's":                                       {2.5, 2.5, true},
		"delivered/s on disk, in the floor's (2,500 of 6,500)":                           {1, 2500.0 / 6500, true},
		"CPU s per 10,000 at 50/s (1.3 times flat out's, and what the floor's rises by)": {4.3, 4.25, false},
		"peak memory after 10,000 deliveries, MB":                                        {59, 60, true},
	} {
		v := got[claim]
		if v.Value != want.value || v.Limit != want.limit || v.Holds != want.holds {
			t.Errorf("%s: got %+v, want %+v", claim, v, want)
		}
	}
	if _, ok := got["CPU per delivery in memory, in the floor's"]; ok {
		t.Error("what was not measured is judged")
	}
	var table bytes.Buffer
	if err := all[0].print(&table); err != nil {
		t.Fatal(err)
	}
	if want := "CPU s per 10,000 deliveries 2.50 (1.00–9.00) 1.00 2.50 peak"; !strings.Contains(strings.Join(strings.Fields(table.String()), " "), want) {
		t.Errorf("got\n%s\nwant %s", &table, want)
	}
}

// A terminal sees how far a run is, and nothing of it is left at the end.
func TestProgress(t *testing.T) {
	l := newLedger(plan{Source: ofApp, Events: 2, Batch: 1, Healthy: 1})
	shown := make(chan string)
	stop := progress{writer(func(p []byte) { shown <- string(p) })}.follow("flat out", l)
	if got, want := <-shown, "\r\x1b[Kflat out: 0 of 2 events accepted, 0 of 2 deliveries made"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop()
	}()
	last := ""
	for over := false; !over; {
		select {
		case last = <-shown:
		case <-ended:
			over = true
		}
	}
	if last != "\r\x1b[K" {
		t.Errorf("the last is %q", last)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
