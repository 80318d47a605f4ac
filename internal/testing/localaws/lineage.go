package localaws

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// recursionLimit is how often a function may be met in one chain of messages that
// functions send and are invoked by: about so often, says AWS ("Use Lambda
// recursive loop detection to prevent infinite loops"). Then Lambda does not
// invoke it again, unless its RecursiveLoop is Allow.
const recursionLimit = 16

// lineage counts how often each function was met in a chain. Lambda tells it to a
// function in the trace header; the SDK passes that on with what the function
// sends; and it comes back with the message.
type lineage map[string]int

// header is the trace header of an invocation.
func (l lineage) header() string {
	const header = "Root=1-00000000-000000000000000000000000;Sampled=0"
	var met []string
	for _, function := range slices.Sorted(maps.Keys(l)) {
		met = append(met, fmt.Sprintf("%s:%d", function, l[function]))
	}
	if met == nil {
		return header
	}
	return header + ";Lineage=" + strings.Join(met, ",")
}

// readLineage reads what header wrote, as the SDK has escaped it.
func readLineage(header string) lineage {
	text, err := url.PathUnescape(header)
	if err != nil {
		return nil
	}
	l := make(lineage)
	for part := range strings.SplitSeq(text, ";") {
		if list, ok := strings.CutPrefix(part, "Lineage="); ok {
			for pair := range strings.SplitSeq(list, ",") {
				function, count, _ := strings.Cut(pair, ":")
				if n, err := strconv.Atoi(count); err == nil {
					l[function] = n
				}
			}
		}
	}
	return l
}

// lineages are those of the messages that functions have sent.
type lineages struct {
	sending sync.RWMutex // held while one is sent: who has received it waits
	mu      sync.Mutex
	sent    map[string]lineage // by the message's id
}

// keep notes the lineage of the messages that a call has sent.
func (l *lineages) keep(c Call, header string) {
	if header == "" {
		return
	}
	type sent struct{ MessageID string }
	var answer struct {
		sent
		Successful []sent
	}
	if json.Unmarshal(c.Response, &answer) != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range append(answer.Successful, answer.sent) {
		if m.MessageID != "" {
			l.sent[m.MessageID] = readLineage(header)
		}
	}
}

// of is the lineage of an invocation of a function by a batch, and the messages of
// the batch by which it would be met too often.
func (l *lineages) of(function string, batch []types.Message) (of lineage, tooOften []types.Message) {
	l.sending.Lock()
	l.sending.Unlock() //nolint:staticcheck // those that are under way are kept now
	l.mu.Lock()
	defer l.mu.Unlock()
	of = lineage{function: 1}
	for _, m := range batch {
		sent := l.sent[*m.MessageId]
		if sent[function] >= recursionLimit {
			tooOften = append(tooOften, m)
		}
		for met, n := range sent {
			if met == function {
				n++
			}
			of[met] = max(of[met], n)
		}
	}
	return of, tooOften
}
