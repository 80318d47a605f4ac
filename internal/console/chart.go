package console

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"boathook/internal/boathook"
)

// chart is what the attempts of a day came to, hour by hour.
type chart struct {
	Bars                        []bar
	Succeeded, Retrying, Failed int
	Label                       string // what it shows, for who does not see it
	Top, Middle                 string // of the axis

	// The response times; empty: there were no attempts.
	P50, P95       string
	Line50, Line95 string // points of SVG polylines
	SlowLabel      string
	SlowTop        string
	SlowMiddle     string

	Start, End time.Time

	// Poll is where the chart as it is by now is asked for, with the news of the list
	// that it stands above; empty: it stays.
	Poll string
}

// bar is one hour.
type bar struct {
	From, To                    time.Time
	Succeeded, Retrying, Failed int
	Rects                       []rect
}

// rect is a part of a bar, in a box of 240 by 100.
type rect struct {
	Class   string
	X, Y, H string
}

const (
	chartWidth  = 240
	chartHeight = 100
)

// newChart draws hours, the oldest first.
func newChart(counts []boathook.AttemptCounts) chart {
	var c chart
	most, slowest := 1, time.Duration(0)
	var all boathook.AttemptCounts
	type percentiles struct{ p50, p95 time.Duration }
	slow := make([]percentiles, len(counts))
	for i, n := range counts {
		most = max(most, n.Succeeded+n.Retrying+n.Failed)
		all.Add(n)
		slow[i] = percentiles{n.Percentile(.5), n.Percentile(.95)}
		slowest = max(slowest, slow[i].p95)
	}
	top := niceTop(most)
	c.Top, c.Middle = number(top), number(top/2)
	if top < 2 {
		c.Middle = ""
	}
	step := chartWidth / float64(max(len(counts), 1))
	for i, n := range counts {
		b := bar{From: n.From, To: n.From.Add(time.Hour), Succeeded: n.Succeeded, Retrying: n.Retrying, Failed: n.Failed}
		y := float64(chartHeight)
		for _, part := range []struct {
			class string
			n     int
		}{{"b-ok", n.Succeeded}, {"b-warn", n.Retrying}, {"b-bad", n.Failed}} {
			if part.n == 0 {
				continue
			}
			h := max(float64(part.n)/float64(top)*chartHeight, .8)
			y -= h
			b.Rects = append(b.Rects, rect{part.class, fixed1(float64(i)*step + 1), fixed1(y), fixed1(h)})
		}
		c.Bars = append(c.Bars, b)
	}
	if len(counts) > 0 {
		c.Start, c.End = counts[0].From, counts[len(counts)-1].From.Add(time.Hour)
	}
	c.Succeeded, c.Retrying, c.Failed = all.Succeeded, all.Retrying, all.Failed
	c.Label = fmt.Sprintf("%d succeeded, %d retrying, %d failed", all.Succeeded, all.Retrying, all.Failed)
	if all.Succeeded+all.Retrying+all.Failed == 0 {
		return c
	}
	slowTop := niceDuration(slowest)
	var points50, points95 []string
	for i, p := range slow {
		if n := counts[i]; n.Succeeded+n.Retrying+n.Failed == 0 {
			continue
		}
		x := (float64(i) + .5) * step
		at := func(d time.Duration) string {
			return fixed1(x) + "," + fixed1(chartHeight*(1-float64(d)/float64(slowTop)))
		}
		points50, points95 = append(points50, at(p.p50)), append(points95, at(p.p95))
	}
	if len(points50) == 1 { // a line of one point is not seen
		x := func(p string) string { _, y, _ := strings.Cut(p, ","); return fixed1(chartWidth) + "," + y }
		points50, points95 = append(points50, x(points50[0])), append(points95, x(points95[0]))
	}
	c.Line50, c.Line95 = strings.Join(points50, " "), strings.Join(points95, " ")
	c.P50, c.P95 = duration(all.Percentile(.5)), duration(all.Percentile(.95))
	c.SlowTop, c.SlowMiddle = roundDuration(slowTop), roundDuration(slowTop/2)
	c.SlowLabel = fmt.Sprintf("p50 %s, p95 %s", c.P50, c.P95)
	return c
}

// Total is how many attempts there were.
func (c chart) Total() int { return c.Succeeded + c.Retrying + c.Failed }

// Success is the share that succeeded, of those that ended; – if none did.
func (c chart) Success() string {
	ended := c.Succeeded + c.Failed + c.Retrying
	if ended == 0 {
		return "–"
	}
	share := 100 * float64(c.Succeeded) / float64(ended)
	if share < 100 {
		share = min(share, 99.99) // never rounded up to all
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", share), ".0")
}

// spark draws buckets in a row of a table: 120 by 24.
func spark(counts []boathook.AttemptCounts) template.HTML {
	most := 1
	var total boathook.AttemptCounts
	for _, n := range counts {
		most = max(most, n.Succeeded+n.Retrying+n.Failed)
		total.Add(n)
	}
	paths := map[string]*strings.Builder{"b-ok": {}, "b-warn": {}, "b-bad": {}, "b-idle": {}}
	step := 120 / max(len(counts), 1)
	for i, n := range counts {
		y := 24
		draw := func(class string, n int) {
			if n == 0 {
				return
			}
			h := max(n*22/most, 1)
			y -= h
			fmt.Fprintf(paths[class], "M%d %dh3v%dh-3z", i*step, y, h)
		}
		draw("b-ok", n.Succeeded)
		draw("b-warn", n.Retrying)
		draw("b-bad", n.Failed)
		if y == 24 {
			fmt.Fprintf(paths["b-idle"], "M%d 23h3v1h-3z", i*step)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="mini" viewBox="0 0 120 24" role="img" aria-label="%d succeeded, %d retrying, %d failed in 24 hours">`, total.Succeeded, total.Retrying, total.Failed)
	for _, class := range []string{"b-ok", "b-warn", "b-bad", "b-idle"} {
		if paths[class].Len() > 0 {
			fmt.Fprintf(&b, `<path class="%s" d="%s"/>`, class, paths[class])
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // numbers only
}

func fixed1(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

// niceTop is the end of an axis that holds n: 1, 2, 4, 6, 8 times a power of ten.
func niceTop(n int) int {
	for power := 1; ; power *= 10 {
		for _, digit := range []int{1, 2, 4, 6, 8} {
			if digit*power >= n {
				return digit * power
			}
		}
	}
}

// niceDuration is the end of an axis that holds d.
func niceDuration(d time.Duration) time.Duration {
	return time.Duration(niceTop(int(max(d.Milliseconds(), 2)))) * time.Millisecond
}

// roundDuration is a duration of few digits: 200 ms, 1.6 s.
func roundDuration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fixed1(d.Seconds()) + " s"
}

// merged adds up buckets of several webhooks that begin at the same times.
func merged(all ...[]boathook.AttemptCounts) []boathook.AttemptCounts {
	var sum []boathook.AttemptCounts
	for _, counts := range all {
		for _, n := range counts {
			i, found := slices.BinarySearchFunc(sum, n, func(a, b boathook.AttemptCounts) int { return a.From.Compare(b.From) })
			if !found {
				sum = slices.Insert(sum, i, boathook.AttemptCounts{From: n.From})
			}
			sum[i].Add(n)
		}
	}
	return sum
}
