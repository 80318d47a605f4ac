package dialect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"boathook/internal/boathook"
)

// chats are the formats that are messages for people.
var chats = map[boathook.Format]func(note) any{
	boathook.Slack:   slackMessage,
	boathook.Discord: discordMessage,
	boathook.Teams:   teamsMessage,
}

// note is what a message tells of an event. Its texts are as they came, in one
// line, and kept short; each chat escapes them in its own way.
type note struct {
	title   string
	outcome outcome
	link    string // an http or https URL, or empty
	detail  string // a line more, such as an error or the start of an output, or empty
	source  string // the name of the event's source, or empty
	facts   []fact
	at      time.Time
}

// fact is a named value; none is empty.
type fact struct{ name, value string }

// outcome colours a message.
type outcome int

const (
	neutral outcome = iota
	good
	bad
)

// mark stands before the title where a chat has no colours.
func (o outcome) mark() string { return [...]string{"🔵", "✅", "❌"}[o] }

// The longest texts of a note, in characters. With each escaped, or each
// counted twice as UTF-16 does, a message is below every chat's limits: the
// tightest are Discord's 256 for a title, and 6,000 in all.
const (
	maxTitle  = 120
	maxDetail = 500
	maxFact   = 150
	maxLink   = 1000
)

// outcomes of the statuses that the systems know.
var outcomes = map[string]outcome{
	"succeeded": good, "failed": bad, "rejected": bad, "timed_out": bad,
}

// noteOf tells of an event. What its data lacks is left out.
func noteOf(e boathook.Event) note {
	n := note{title: string(e.Type), at: e.Time, source: e.SourceName}
	if describe, ok := notes[e.Type]; ok {
		describe(&n, e.Data)
	}
	if e.Environment != "" {
		n.add("Environment", string(e.Environment))
	}
	n.title = short(n.title, maxTitle)
	n.detail = short(n.detail, maxDetail)
	if len(n.link) > maxLink {
		n.link = ""
	}
	return n
}

func (n *note) add(name, value string) {
	if value = short(value, maxFact); value != "" {
		n.facts = append(n.facts, fact{name, value})
	}
}

func (n *note) status(status string) {
	n.outcome = outcomes[status]
	n.add("Status", words(status))
}

// notes read the data of each type. What is not of the catalogue's shape is
// left out: a message that says less is better than none.
var notes = map[boathook.EventType]func(n *note, data []byte){
	boathook.EventRunSucceeded:         noteRun,
	boathook.EventRunFailed:            noteRun,
	boathook.EventWebhookDisabled:      noteWebhook("Webhook disabled", bad),
	boathook.EventWebhookFailing:       noteWebhook("Webhook failing", bad),
	boathook.EventWebhookRecovered:     noteWebhook("Webhook works again", good),
	boathook.EventDeliveryExhausted:    noteWebhook("Delivery failed for good", bad),
	boathook.EventRunLost:              noteLost,
	boathook.EventBuildFinish:          noteBuild,
	boathook.EventAppBuildCreated:      noteAppBuild,
	boathook.EventAppDeploymentCreated: noteAppDeployment,
	boathook.EventJobCreated:           noteJob("Job created"),
	boathook.EventJobFinished:          noteJob("Job finished"),
}

func noteRun(n *note, data []byte) {
	var run struct {
		RunID         string `json:"run_id"`
		DeploymentID  string `json:"deployment_id"`
		AgentID       string `json:"agent_id"`
		VersionNumber int    `json:"version_number"`
		Status        string `json:"status"`
		ErrorMessage  string `json:"error_message"`
		Output        json.RawMessage
		StartedAt     time.Time `json:"started_at"`
		CompletedAt   time.Time `json:"completed_at"`
	}
	_ = json.Unmarshal(data, &run)
	n.title = "Run " + words(run.Status)
	n.status(run.Status)
	if !run.StartedAt.IsZero() {
		n.add("Duration", duration(run.CompletedAt.Sub(run.StartedAt)))
	}
	n.add("Deployment", named(n.source, run.DeploymentID))
	n.add("Agent", named(n.source, run.AgentID))
	if run.VersionNumber > 0 {
		n.add("Version", strconv.Itoa(run.VersionNumber))
	}
	n.add("Run", run.RunID)
	if n.detail = run.ErrorMessage; n.detail == "" {
		n.detail = startOf(run.Output)
	}
}

// named is a source by its name, if that is known, and else by its id.
func named(name, id string) string {
	if id == "" || name == "" {
		return id
	}
	return name
}

// startOf is the beginning of a run's output, for people: a text as it is, and
// anything else as JSON; empty if there is none.
func startOf(output json.RawMessage) string {
	var text string
	if json.Unmarshal(output, &text) == nil { // null too
		return text
	}
	return strings.ToValidUTF8(string(output[:min(len(output), 8*maxDetail)]), "")
}

// noteWebhook tells what became of a webhook, or of a delivery to it.
func noteWebhook(title string, o outcome) func(n *note, data []byte) {
	return func(n *note, data []byte) {
		var webhook struct {
			ID         string    `json:"webhook_id"`
			Name       string    `json:"name"`
			Host       string    `json:"host"`
			Queue      string    `json:"queue_arn"`
			Since      time.Time `json:"failing_since"`
			Recovered  time.Time `json:"recovered_at"`
			DeliveryID string    `json:"delivery_id"`
			EventType  string    `json:"event_type"`
			Attempts   int       `json:"attempts"`
			Status     int       `json:"response_status"`
			Error      string    `json:"error"`
			Reason     string    `json:"reason"`
		}
		_ = json.Unmarshal(data, &webhook)
		n.title, n.outcome = title+": "+webhook.Name, o
		n.add("Host", webhook.Host)
		n.add("Queue", webhook.Queue)
		if !webhook.Since.IsZero() {
			n.add("Failing since", webhook.Since.UTC().Format(time.DateTime)+" UTC")
		}
		if !webhook.Recovered.IsZero() {
			n.add("Lasted", duration(webhook.Recovered.Sub(webhook.Since)))
		}
		n.add("Event", webhook.EventType)
		if webhook.Attempts > 0 {
			n.add("Attempts", strconv.Itoa(webhook.Attempts))
		}
		if webhook.Status > 0 {
			n.add("Answer", strconv.Itoa(webhook.Status))
		}
		n.add("Delivery", webhook.DeliveryID)
		n.add("Webhook", webhook.ID)
		n.detail = cmp.Or(webhook.Reason, webhook.Error)
	}
}

func noteLost(n *note, data []byte) {
	var run struct {
		RunID       string    `json:"run_id"`
		SourceID    string    `json:"source_id"`
		Environment string    `json:"environment"`
		StartedAt   time.Time `json:"started_at"`
		LostAt      time.Time `json:"lost_at"`
	}
	_ = json.Unmarshal(data, &run)
	n.title, n.outcome = "Run lost", bad
	n.detail = "What executed it went silent: whether it did its work is not known."
	n.add("Run", run.RunID)
	n.add("Source", run.SourceID)
	if !run.StartedAt.IsZero() {
		n.add("After", duration(run.LostAt.Sub(run.StartedAt)))
	}
}

func noteBuild(n *note, data []byte) {
	var finished struct {
		Build struct {
			Number     int       `json:"build_num"`
			ExitCode   int       `json:"exit_code"`
			Status     string    `json:"status"`
			CreatedAt  time.Time `json:"created_at"`
			FinishedAt time.Time `json:"finished_at"`
		} `json:"build"`
		Commit struct {
			Author  struct{ Name, Login string } `json:"author"`
			Message string                       `json:"message"`
			SHA     string                       `json:"sha"`
		} `json:"commit"`
		ImageTags []struct {
			FullName string `json:"full_name"`
		} `json:"image_tags"`
		Repository struct {
			CloneURL string                 `json:"clone_url"`
			Name     string                 `json:"name"`
			Owner    struct{ Login string } `json:"owner"`
		} `json:"repository"`
	}
	_ = json.Unmarshal(data, &finished)
	build, commit, repository := finished.Build, finished.Commit, finished.Repository
	n.title = fmt.Sprintf("Build %d of %s/%s %s", build.Number, repository.Owner.Login, repository.Name, words(build.Status))
	n.status(build.Status)
	n.add("Duration", duration(build.FinishedAt.Sub(build.CreatedAt)))
	if build.ExitCode != 0 {
		n.add("Exit code", strconv.Itoa(build.ExitCode))
	}
	n.add("Commit", commit.SHA[:min(len(commit.SHA), 7)])
	n.add("Author", commit.Author.Name)
	var tags []string
	for _, tag := range finished.ImageTags {
		tags = append(tags, tag.FullName)
	}
	n.add("Images", strings.Join(tags, ", "))
	n.detail = commit.Message
	n.link = commitURL(repository.CloneURL, commit.SHA)
}

func noteAppBuild(n *note, data []byte) {
	var build struct{ AppID, Platform, Type, NumberAsString, PackageName, PackageVersion string }
	_ = json.Unmarshal(data, &build)
	n.title = fmt.Sprintf("Build %s created", build.NumberAsString)
	n.add("Platform", build.Platform)
	n.add("Type", build.Type)
	n.add("Package", strings.TrimSpace(build.PackageName+" "+build.PackageVersion))
	n.add("App", build.AppID)
}

func noteAppDeployment(n *note, data []byte) {
	var deployment struct {
		AppID, AppBuildID, AppChannelID, AppDestinationID string
		RolloutPercentage                                 *float64
	}
	_ = json.Unmarshal(data, &deployment)
	n.title = "Deployment created"
	n.add("Build", deployment.AppBuildID)
	n.add("Channel", deployment.AppChannelID)
	n.add("Destination", deployment.AppDestinationID)
	if p := deployment.RolloutPercentage; p != nil {
		n.add("Rollout", strconv.FormatFloat(*p*100, 'f', -1, 64)+" %")
	}
	n.add("App", deployment.AppID)
}

func noteJob(title string) func(n *note, data []byte) {
	return func(n *note, data []byte) {
		var job struct {
			ID, AppID, Stack, Status string
			TotalTimeInSeconds       *int64
		}
		_ = json.Unmarshal(data, &job)
		n.title = title + ": " + words(job.Status)
		n.status(job.Status)
		if s := job.TotalTimeInSeconds; s != nil {
			n.add("Duration", duration(time.Duration(*s)*time.Second))
		}
		n.add("Stack", job.Stack)
		n.add("Job", job.ID)
		n.add("App", job.AppID)
	}
}

// commitURL is where a browser finds a commit: on GitHub its page, elsewhere
// the repository's. It is empty if the clone URL is not one for browsers.
func commitURL(cloneURL, sha string) string {
	u, err := url.Parse(strings.TrimSuffix(cloneURL, ".git"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	if u.Host == "github.com" && sha != "" {
		u = u.JoinPath("commit", sha)
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String()
}

// words are a status as people write it.
func words(status string) string { return strings.ReplaceAll(status, "_", " ") }

// duration is whole seconds, such as 3m 20s.
func duration(d time.Duration) string {
	if d < 0 {
		return ""
	}
	text := d.Truncate(time.Second).String()
	return strings.NewReplacer("h", "h ", "m", "m ").Replace(text)
}

// short is s in one line of at most so many characters. Characters that would
// not be seen, or turn others around, are left out.
func short(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) <= limit {
		return string(runes)
	}
	return string(runes[:limit-1]) + "…"
}
