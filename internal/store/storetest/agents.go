package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

func (s *suite) newAgent() boathook.Source {
	return boathook.Source{
		ID: boathook.NewID(boathook.AgentID), WorkspaceID: boathook.NewID(boathook.WorkspaceID), Kind: boathook.Agent,
		Name: "Reviewer", CreatedAt: s.clock.Now(), Agent: &boathook.AgentSettings{
			CrewID: boathook.NewID(boathook.CrewID), Slug: "reviewer", RequireTimestamp: true, KeepPlainSecret: true,
			RatePerMinute: 60, MaxInFlight: 8, SealedSecret: []byte{0, 1, 0xff}, DedupeSeconds: 60, FencePayload: true,
			Verification: boathook.Verification{Preset: "github", SealedSecret: []byte{2}},
		},
	}
}

// agentsOf is the list of a crew's agents.
func (s *suite) agentsOf(workspaceID, crewID string) list[boathook.Source] {
	return list[boathook.Source]{
		page: func(ctx context.Context, p boathook.Page) ([]boathook.Source, string, error) {
			return s.CrewAgents(ctx, workspaceID, crewID, p)
		},
		add: func(t *testing.T, at time.Time) string {
			a := s.newAgent()
			a.WorkspaceID, a.CreatedAt, a.Agent.CrewID, a.Agent.Slug = workspaceID, at, crewID, boathook.NewID("slug")
			must(t, s.PutSource(t.Context(), a))
			return a.ID
		},
		id:   func(s boathook.Source) string { return s.ID },
		time: func(s boathook.Source) time.Time { return s.CreatedAt },
	}
}

func (s *suite) testCrewAgents(t *testing.T) {
	workspaceID := boathook.NewID(boathook.WorkspaceID)
	crews := []string{boathook.NewID(boathook.CrewID), boathook.NewID(boathook.CrewID)}
	newAgent := func(crew, slug string) boathook.Source {
		a := s.newAgent()
		a.WorkspaceID, a.Agent.CrewID, a.Agent.Slug = workspaceID, crew, slug
		return a
	}
	put := func(t *testing.T, a boathook.Source) boathook.Source {
		t.Helper()
		must(t, s.PutSource(t.Context(), a))
		a.Revision++
		return a
	}
	wantTaken := func(t *testing.T, a boathook.Source) {
		t.Helper()
		err := s.PutSource(t.Context(), a)
		e, ok := errors.AsType[*boathook.Error](err)
		if !ok || e.Kind != boathook.Conflict || e.Field != "slug" {
			t.Errorf("putting an agent with another's slug: %v, want a Conflict about it", err)
		}
	}
	wantHolder := func(t *testing.T, crew, slug, want string) {
		t.Helper()
		got, err := s.AgentBySlug(t.Context(), workspaceID, crew, slug)
		if want == "" {
			wantKind(t, "AgentBySlug", err, boathook.NotFound)
			return
		}
		must(t, err)
		if got != want {
			t.Errorf("%s is the slug of %s, want %s", slug, got, want)
		}
	}

	t.Run("a crew's are listed newest first, in pages", func(t *testing.T) {
		s.agentsOf(workspaceID, crews[0]).test(t, s.clock.Now())
	})
	t.Run("another crew's, and another workspace's, are not listed", func(t *testing.T) {
		_, cursor, err := s.CrewAgents(t.Context(), workspaceID, crews[0], boathook.Page{Limit: 1})
		must(t, err)
		own := put(t, newAgent(crews[1], "own"))
		wantSame(t, "the other crew's", s.agentsOf(workspaceID, crews[1]).all(t, boathook.Page{Limit: 10}), []boathook.Source{own})
		s.agentsOf(workspaceID, crews[1]).testForeign(t, cursor)
		wantSame(t, "in another workspace", s.agentsOf(boathook.NewID(boathook.WorkspaceID), crews[1]).all(t, boathook.Page{Limit: 10}), []boathook.Source(nil))
	})
	t.Run("a changed one is listed as it is, and a deleted one no more", func(t *testing.T) {
		crew := boathook.NewID(boathook.CrewID)
		a := put(t, newAgent(crew, "a"))
		a.Name, a.Agent.MaxInFlight = "renamed", 3
		a = put(t, a)
		wantSame(t, "the crew's", s.agentsOf(workspaceID, crew).all(t, boathook.Page{Limit: 10}), []boathook.Source{a})
		must(t, s.DeleteSource(t.Context(), workspaceID, a.ID))
		wantSame(t, "the crew's", s.agentsOf(workspaceID, crew).all(t, boathook.Page{Limit: 10}), []boathook.Source(nil))
	})
	t.Run("a workspace's are listed crew by crew, as many as are wanted", func(t *testing.T) {
		workspaceID, crews := boathook.NewID(boathook.WorkspaceID), []string{boathook.NewID(boathook.CrewID), boathook.NewID(boathook.CrewID), boathook.NewID(boathook.CrewID)}
		slices.SortFunc(crews, func(a, b string) int { return strings.Compare(b, a) })
		wantSame(t, "of none", read(s.Agents(t.Context(), workspaceID, 10))(t), []boathook.Source(nil))
		agents := make([]boathook.Source, 9) // as they are listed
		for i := range 9 {                   // as they are made
			at := i%3*3 + 2 - i/3
			a := newAgent(crews[i%3], boathook.NewID("slug"))
			a.WorkspaceID, a.CreatedAt = workspaceID, s.clock.Now().Add(time.Duration(i)*time.Second)
			agents[at] = put(t, a)
		}
		for _, limit := range []int{1, 4, 9, 1000} {
			wantSame(t, "the workspace's", read(s.Agents(t.Context(), workspaceID, limit))(t), agents[:min(limit, 9)])
		}
	})
	t.Run("a slug is one agent's of its crew", func(t *testing.T) {
		crew, other := boathook.NewID(boathook.CrewID), boathook.NewID(boathook.CrewID)
		wantHolder(t, crew, "x", "")
		first := put(t, newAgent(crew, "x"))
		second := newAgent(crew, "x")
		wantTaken(t, second)
		_, err := s.Source(t.Context(), workspaceID, second.ID)
		wantKind(t, "the refused one", err, boathook.NotFound)
		wantSame(t, "the crew's", s.agentsOf(workspaceID, crew).all(t, boathook.Page{Limit: 10}), []boathook.Source{first})
		put(t, newAgent(other, "x"))
		first.Name = "renamed"
		first = put(t, first) // it has its slug already
		wantHolder(t, crew, "x", first.ID)

		second.Agent.Slug = "y"
		second = put(t, second)
		changed := second
		changed.Agent = new(*second.Agent)
		changed.Agent.Slug = "x"
		wantTaken(t, changed)
		wantSame(t, "the refused change", read(s.Source(t.Context(), workspaceID, second.ID))(t), second)
		wantHolder(t, crew, "y", second.ID)
	})
	t.Run("a slug that is given up is free", func(t *testing.T) {
		crew := boathook.NewID(boathook.CrewID)
		first := put(t, newAgent(crew, "x"))
		first.Agent.Slug = "y"
		first = put(t, first)
		wantHolder(t, crew, "x", "")
		second := put(t, newAgent(crew, "x"))
		must(t, s.DeleteSource(t.Context(), workspaceID, first.ID))
		wantHolder(t, crew, "y", "")
		second.Agent.Slug = "y"
		put(t, second)
		wantHolder(t, crew, "y", second.ID)
	})
	t.Run("of several that take a slug at once, one has it", func(t *testing.T) {
		crew := boathook.NewID(boathook.CrewID)
		agents := make([]boathook.Source, 8)
		for i := range agents {
			agents[i] = newAgent(crew, "x")
		}
		won := atOnce(t, len(agents), func(ctx context.Context, i int) error { return s.PutSource(ctx, agents[i]) })
		if len(won) != 1 {
			t.Fatalf("%d have it", len(won))
		}
		wantHolder(t, crew, "x", agents[won[0]].ID)
	})
}

func (s *suite) testLookUpAgent(t *testing.T) {
	agent := s.newAgent()
	lookUp := func(agentID string, runIDs ...string) store.AgentView {
		t.Helper()
		return read(s.LookUpAgent(t.Context(), agentID, runIDs...))(t)
	}

	t.Run("of an agent that there is not, nothing is known", func(t *testing.T) {
		view := lookUp(agent.ID, boathook.NewID(boathook.RunID))
		if view.Agent != nil || len(view.Live) != 0 || view.Load.Revision != 0 || len(view.Runs)+len(view.Pinned) != 0 {
			t.Errorf("got %+v", view)
		}
	})
	t.Run("a source of another kind is none", func(t *testing.T) {
		deployment := s.newSource(boathook.NewID(boathook.WorkspaceID))
		must(t, s.PutSource(t.Context(), deployment))
		if view := lookUp(deployment.ID); view.Agent != nil {
			t.Errorf("got %+v", view.Agent)
		}
	})
	t.Run("an agent comes with what is live, its load and the run", func(t *testing.T) {
		must(t, s.PutSource(t.Context(), agent))
		agent.Revision = 1
		version, err := s.AddVersion(t.Context(), boathook.Version{
			ID: boathook.NewID(boathook.VersionID), SourceID: agent.ID, WorkspaceID: agent.WorkspaceID, Environment: boathook.Production,
			CreatedAt: s.clock.Now(),
		})
		must(t, err)
		run := s.newRun()
		run.SourceID, run.EventName, run.EventSource, run.Fenced = agent.ID, "push", "github", true
		run.Details = boathook.TriggerDetails{Event: "push.forced", DeliveryID: "72d3162e", ContentType: "application/json", Query: "a=1", FilterError: "filter: no"}
		run.RetryOf = boathook.NewID(boathook.RunID)
		must(t, s.CreateRun(t.Context(), run))
		read(s.Admit(t.Context(), agent.ID, run.ID, store.Limit{RatePerMinute: 1, MaxInFlight: 1}, store.Load{}, s.clock.Now()))(t)

		view := lookUp(agent.ID, run.ID, boathook.NewID(boathook.RunID))
		wantSame(t, "agent", view.Agent, &agent)
		wantSame(t, "live", view.Live, map[boathook.Environment]boathook.LiveVersion{boathook.Production: {ID: version.ID, Number: 1}})
		wantSame(t, "runs", view.Runs, map[string]boathook.RunHead{run.ID: run.RunHead})
		wantSame(t, "load", view.Load, store.Load{
			Window: s.clock.Now().Truncate(time.Minute), Count: 1, Revision: 1,
			InFlight: map[string]time.Time{run.ID: s.clock.Now().Add(boathook.PlaceLifetime)},
		})
		if view := lookUp(agent.ID); len(view.Runs) > 0 {
			t.Errorf("runs that were not asked for: %+v", view.Runs)
		}
	})
}

func (s *suite) testPinRun(t *testing.T) {
	newID := func() string { return boathook.NewID(boathook.RunID) }
	agent := s.newAgent()
	must(t, s.PutSource(t.Context(), agent))

	t.Run("an id stands for the run that it was pinned to first", func(t *testing.T) {
		id, first := newID(), newID()
		for _, runID := range []string{first, first, newID()} {
			wantSame(t, "pinned", read(s.PinRun(t.Context(), id, runID))(t), first)
		}
		view := read(s.LookUpAgent(t.Context(), agent.ID, id, first))(t)
		wantSame(t, "what the ids stand for", view.Pinned, map[string]string{id: first})
		if len(view.Runs) > 0 {
			t.Errorf("a pin has made a run: %+v", view.Runs)
		}
	})
	t.Run("several may stand for one run, and it is not changed", func(t *testing.T) {
		run, one, two := s.pending(t), newID(), newID()
		for _, id := range []string{one, two} {
			wantSame(t, "pinned", read(s.PinRun(t.Context(), id, run.ID))(t), run.ID)
		}
		view := read(s.LookUpAgent(t.Context(), agent.ID, one, two, run.ID))(t)
		wantSame(t, "what the ids stand for", view.Pinned, map[string]string{one: run.ID, two: run.ID})
		wantSame(t, "runs", view.Runs, map[string]boathook.RunHead{run.ID: run.RunHead})
		s.wantRun(t, run)
	})
	t.Run("of several that pin an id at once, all have the same run", func(t *testing.T) {
		id, pinned := newID(), make([]string, 6)
		atOnce(t, len(pinned), func(ctx context.Context, i int) (err error) {
			pinned[i], err = s.PinRun(ctx, id, newID())
			return err
		})
		for _, other := range pinned {
			wantSame(t, "pinned", other, pinned[0])
		}
	})
}

func (s *suite) testAdmit(t *testing.T) {
	minute := s.clock.Now().Truncate(time.Minute)
	wide := store.Limit{RatePerMinute: 100, MaxInFlight: 100}
	// admit is what intake does: with the load as it is, or an old one.
	admit := func(agentID, runID string, limit store.Limit, at time.Time) error {
		view, err := s.LookUpAgent(t.Context(), agentID, "")
		must(t, err)
		_, err = s.Admit(t.Context(), agentID, runID, limit, view.Load, at)
		return err
	}
	admitBy := func(known store.Load, agentID, runID string, limit store.Limit, at time.Time) error {
		_, err := s.Admit(t.Context(), agentID, runID, limit, known, at)
		return err
	}
	wantRefused := func(t *testing.T, what string, err error, within time.Duration) {
		t.Helper()
		e, ok := errors.AsType[*boathook.Error](err)
		if !ok || e.Kind != boathook.Limited || e.RetryAfter <= 0 || e.RetryAfter > within {
			t.Errorf("%s: %v, want a refusal that ends within %s", what, err, within)
		}
	}
	newRun := func() string { return boathook.NewID(boathook.RunID) }

	t.Run("no more start in a minute than the rate", func(t *testing.T) {
		agentID, limit := boathook.NewID(boathook.AgentID), store.Limit{RatePerMinute: 3, MaxInFlight: 100}
		for i := range 3 {
			must(t, admit(agentID, newRun(), limit, minute.Add(time.Duration(i)*20*time.Second)))
		}
		wantRefused(t, "the fourth", admit(agentID, newRun(), limit, minute.Add(59*time.Second)), time.Second)
		must(t, admit(agentID, newRun(), limit, minute.Add(time.Minute)))
	})
	t.Run("no more are in flight than there are places, and one that is over frees its own", func(t *testing.T) {
		agentID, limit, first := boathook.NewID(boathook.AgentID), store.Limit{RatePerMinute: 100, MaxInFlight: 2}, newRun()
		must(t, admit(agentID, first, limit, minute))
		must(t, admit(agentID, newRun(), limit, minute))
		wantRefused(t, "the third", admit(agentID, newRun(), limit, minute.Add(time.Minute)), time.Minute)
		must(t, s.Release(t.Context(), agentID, first, time.Time{}))
		must(t, s.Release(t.Context(), agentID, first, time.Time{}))
		must(t, admit(agentID, newRun(), limit, minute))
		wantRefused(t, "the fourth", admit(agentID, newRun(), limit, minute), time.Minute)
	})
	t.Run("a run that was lost frees its place in time", func(t *testing.T) {
		agentID, limit := boathook.NewID(boathook.AgentID), store.Limit{RatePerMinute: 100, MaxInFlight: 1}
		must(t, admit(agentID, newRun(), limit, minute))
		wantRefused(t, "before", admit(agentID, newRun(), limit, minute.Add(boathook.PlaceLifetime-time.Millisecond)), time.Minute)
		must(t, admit(agentID, newRun(), limit, minute.Add(boathook.PlaceLifetime)))
	})
	t.Run("a run is admitted once", func(t *testing.T) {
		agentID, limit, run := boathook.NewID(boathook.AgentID), store.Limit{RatePerMinute: 1, MaxInFlight: 1}, newRun()
		for range 2 {
			must(t, admit(agentID, run, limit, minute))
			must(t, admitBy(store.Load{}, agentID, run, limit, minute))
		}
	})
	t.Run("a run that is admitted again has its place for as long again, and is not counted", func(t *testing.T) {
		agentID, limit, run := boathook.NewID(boathook.AgentID), store.Limit{RatePerMinute: 1, MaxInFlight: 1}, newRun()
		must(t, admit(agentID, run, limit, minute))
		later := minute.Add(boathook.PlaceLifetime - time.Minute)
		must(t, admit(agentID, run, limit, later))
		must(t, admitBy(store.Load{}, agentID, run, limit, minute)) // a clock that is behind takes nothing away
		load := read(s.LookUpAgent(t.Context(), agentID, ""))(t).Load
		end := later.Add(boathook.PlaceLifetime + time.Millisecond)
		wantSame(t, "places", load.InFlight, map[string]time.Time{run: end})
		wantSame(t, "count", load.Count, 1)
		wantRefused(t, "another", admit(agentID, newRun(), limit, end.Add(-time.Millisecond)), time.Minute)
		must(t, admit(agentID, newRun(), limit, end))
	})
	t.Run("a place is given back by the call that has made it, unless the run was admitted again", func(t *testing.T) {
		agentID, run := boathook.NewID(boathook.AgentID), newRun()
		load := func() store.Load { return read(s.LookUpAgent(t.Context(), agentID, ""))(t).Load }
		made := read(s.Admit(t.Context(), agentID, run, wide, store.Load{}, minute))(t)
		wantSame(t, "made", made, minute.Add(boathook.PlaceLifetime))
		must(t, s.Release(t.Context(), agentID, run, made))
		wantSame(t, "places", len(load().InFlight), 0)

		// By the same millisecond and by a clock that is behind, too.
		for _, later := range []time.Duration{time.Second, 0, -time.Second} {
			made = read(s.Admit(t.Context(), agentID, run, wide, load(), minute))(t)
			again := read(s.Admit(t.Context(), agentID, run, wide, load(), minute.Add(later)))(t)
			wantSame(t, "made by the second call", again, time.Time{})
			must(t, s.Release(t.Context(), agentID, run, made))
			wantSame(t, "places", len(load().InFlight), 1)
			must(t, s.Release(t.Context(), agentID, run, time.Time{}))
			wantSame(t, "places", len(load().InFlight), 0)
		}
	})
	t.Run("a load that is no longer true is looked at again", func(t *testing.T) {
		agentID := boathook.NewID(boathook.AgentID)
		must(t, admitBy(store.Load{}, agentID, newRun(), wide, minute))
		old := read(s.LookUpAgent(t.Context(), agentID, ""))(t).Load
		must(t, admitBy(store.Load{}, agentID, newRun(), wide, minute))
		must(t, admitBy(old, agentID, newRun(), wide, minute))
		must(t, admitBy(old, agentID, newRun(), wide, minute.Add(time.Minute)))
		wantRefused(t, "the fifth", admitBy(old, agentID, newRun(), store.Limit{RatePerMinute: 100, MaxInFlight: 4}, minute), time.Minute)
	})
	t.Run("releasing what was never admitted does nothing", func(t *testing.T) {
		must(t, s.Release(t.Context(), boathook.NewID(boathook.AgentID), newRun(), time.Time{}))
	})
	for name, limit := range map[string]store.Limit{
		"the rate":   {RatePerMinute: 5, MaxInFlight: 100},
		"the places": {RatePerMinute: 100, MaxInFlight: 5},
	} {
		t.Run("of many at once, as many as "+name+" allow are admitted", func(t *testing.T) {
			agentID := boathook.NewID(boathook.AgentID)
			refused := boathook.Errorf(boathook.Conflict, "refused")
			for round := range 2 { // in a new minute the load is replaced, not added to
				for run := range read(s.LookUpAgent(t.Context(), agentID, ""))(t).Load.InFlight {
					must(t, s.Release(t.Context(), agentID, run, time.Time{}))
				}
				old := read(s.LookUpAgent(t.Context(), agentID, ""))(t).Load
				won := atOnce(t, 12, func(ctx context.Context, _ int) error {
					_, err := s.Admit(ctx, agentID, newRun(), limit, old, minute.Add(time.Duration(round)*time.Minute))
					if boathook.IsKind(err, boathook.Limited) {
						return refused
					}
					return err
				})
				if len(won) != 5 {
					t.Errorf("round %d: %d were admitted", round, len(won))
				}
				wantSame(t, fmt.Sprintf("places after round %d", round), len(read(s.LookUpAgent(t.Context(), agentID, ""))(t).Load.InFlight), 5)
			}
		})
	}
}

func (s *suite) testAgentLog(t *testing.T) {
	const unlimited = boathook.MaxRunLog
	newRun := func(agentID string, age time.Duration) boathook.RunHead {
		r := s.newRun()
		r.SourceID, r.CreatedAt = agentID, r.CreatedAt.Add(-age)
		return r.RunHead
	}
	// write stores a chunk, of lines that are their run's id and number.
	write := func(t *testing.T, r boathook.RunHead, first, n int) (written []boathook.AgentLine) {
		t.Helper()
		var lines []boathook.LogLine
		for i := range n {
			line := boathook.LogLine{Time: s.clock.Now(), Stream: "stdout", Text: fmt.Sprintf("%s %d", r.ID, first+i)}
			lines, written = append(lines, line), append(written, boathook.AgentLine{LogLine: line, RunID: r.ID})
		}
		must(t, s.AppendLog(t.Context(), r, first, lines))
		return written
	}
	log := func(t *testing.T, agentID string, skip, limit, maxBytes int) []boathook.AgentLine {
		t.Helper()
		return read(s.AgentLog(t.Context(), store.AgentLogQuery{AgentID: agentID, Skip: skip, Limit: limit, MaxBytes: maxBytes}))(t)
	}

	t.Run("it is of the newest run first, and of each one's last line first", func(t *testing.T) {
		agentID := boathook.NewID(boathook.AgentID)
		old, young, silent := newRun(agentID, time.Hour), newRun(agentID, time.Minute), newRun(agentID, 0)
		of := make(map[string][]boathook.AgentLine)
		for _, chunk := range []struct {
			run      boathook.RunHead
			first, n int
		}{{old, 0, 2}, {young, 0, 1}, {old, 2, 3}, {young, 1, 9}, {young, 10, 2}, {old, 5, 1}} {
			of[chunk.run.ID] = append(of[chunk.run.ID], write(t, chunk.run, chunk.first, chunk.n)...)
		}
		want := slices.Concat(of[old.ID], of[young.ID])
		slices.Reverse(want)
		for _, skip := range []int{0, 1, 2, 11, 12, 13, len(want) - 1, len(want), len(want) + 1} {
			for _, limit := range []int{1, 5, 500} {
				part := want[min(skip, len(want)):min(skip+limit, len(want))]
				wantSame(t, fmt.Sprintf("%d lines after %d", limit, skip), log(t, agentID, skip, limit, unlimited), part)
			}
		}
		if got := log(t, agentID, 0, 500, 1); len(got) == 0 || len(got) >= len(want) {
			t.Errorf("of about one byte: %d lines", len(got))
		}
		wantSame(t, "the run that printed nothing", len(of[silent.ID]), 0)
	})
	t.Run("a chunk that has grown is in it once, as it is", func(t *testing.T) {
		agentID := boathook.NewID(boathook.AgentID)
		r := newRun(agentID, 0)
		write(t, r, 0, 1)
		want := write(t, r, 0, 3)
		slices.Reverse(want)
		wantSame(t, "log", log(t, agentID, 0, 10, unlimited), want)
		wantSame(t, "log after 1", log(t, agentID, 1, 10, unlimited), want[1:])
	})
	t.Run("it has the lines of its agent only", func(t *testing.T) {
		one, other, deployment := boathook.NewID(boathook.AgentID), boathook.NewID(boathook.AgentID), boathook.NewID(boathook.DeploymentID)
		want := write(t, newRun(one, 0), 0, 1)
		write(t, newRun(other, 0), 0, 1)
		write(t, newRun(deployment, 0), 0, 1)
		wantSame(t, "one's", log(t, one, 0, 10, unlimited), want)
		wantSame(t, "the deployment's", log(t, deployment, 0, 10, unlimited), []boathook.AgentLine(nil))
	})
	t.Run("of long chunks, as many are given as are asked for", func(t *testing.T) {
		agentID := boathook.NewID(boathook.AgentID)
		r := newRun(agentID, 0)
		long := string(printable(boathook.MaxLogLine))
		for first := range 6 {
			var lines []boathook.LogLine
			for range 50 { // 400 KiB, more than an item holds
				lines = append(lines, boathook.LogLine{Time: s.clock.Now(), Stream: "stdout", Text: long})
			}
			must(t, s.AppendLog(t.Context(), r, 50*first, lines))
		}
		got := log(t, agentID, 20, 500, 1<<20)
		if n := len(got); n < 120 || n > 135 || got[0].Text != long {
			t.Errorf("%d lines of 8 KiB, when about a MiB was asked for", n)
		}
	})
}
