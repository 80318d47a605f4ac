package expression

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// guard puts checks into a parsed expression, so that its evaluation is bounded, and
// refuses what can't be.
func guard(query *gojq.Query) error {
	g := &guarding{called: map[string]bool{}}
	if query.Meta != nil || len(query.Imports) > 0 {
		return errors.New("can't import or include: there are no modules")
	}
	g.query(query)
	var definitions []*gojq.FuncDef
	for _, def := range preludeFunctions() {
		if g.uses(def.Name) {
			definitions = append(definitions, def)
		}
	}
	query.FuncDefs = append(definitions, query.FuncDefs...)
	return g.err
}

// uses reports whether a function of the prelude is called, by the expression or by
// another of these.
func (g *guarding) uses(name string) bool {
	return g.called[name] || g.called[strings.Replace(name, "_", "_set_", 1)]
}

// guarding is a walk through an expression. It changes the tree in place.
type guarding struct {
	scope []string // the functions that the expression itself defines, where the walk is
	err   error    // the first

	called map[string]bool // of the prelude's functions
}

func (g *guarding) refuse(format string, a ...any) {
	if g.err == nil {
		g.err = fmt.Errorf(format, a...)
	}
}

func (g *guarding) query(q *gojq.Query) {
	if q == nil {
		return
	}
	outer := len(g.scope)
	for _, def := range q.FuncDefs {
		g.define(def)
	}
	for _, p := range q.Patterns {
		g.pattern(p)
	}
	g.term(q.Term)
	g.query(q.Left)
	g.query(q.Right)
	g.operator(q)
	g.scope = g.scope[:outer]
}

// define walks through a function, which is known to itself and to what follows.
func (g *guarding) define(def *gojq.FuncDef) {
	if strings.HasPrefix(def.Name, "_") {
		g.refuse("the function %s can't be defined: its name begins with _", def.Name)
	}
	g.scope = append(g.scope, signature(def.Name, len(def.Args)))
	outer := len(g.scope)
	for _, parameter := range def.Args {
		if strings.HasPrefix(parameter, "_") {
			g.refuse("the parameter %s can't be defined: its name begins with _", parameter)
		}
		g.scope = append(g.scope, signature(strings.TrimPrefix(parameter, "$"), 0))
	}
	g.query(def.Body)
	g.scope = g.scope[:outer]
}

// operator makes an operation one that is measured, or that checks its operands. With a
// number that is written out it is one of numbers, but for a product.
func (g *guarding) operator(q *gojq.Query) {
	switch q.Op {
	case gojq.OpAdd, gojq.OpSub, gojq.OpDiv, gojq.OpMod:
		if isNumber(q.Left) || isNumber(q.Right) {
			return
		}
	}
	switch q.Op {
	case gojq.OpAdd, gojq.OpDiv, gojq.OpMod, gojq.OpAssign, gojq.OpModify, gojq.OpUpdateAdd, gojq.OpUpdateDiv, gojq.OpUpdateMod, gojq.OpUpdateAlt:
		become(q, &gojq.Query{Left: q.Left, Right: q.Right, Op: q.Op})
	case gojq.OpMul:
		g.become(q, "_times", q.Right, q.Left)
	case gojq.OpSub:
		g.become(q, "_minus", q.Right, q.Left)
	case gojq.OpUpdateMul:
		g.become(q, "_set_times", q.Left, q.Right)
	case gojq.OpUpdateSub:
		g.become(q, "_set_minus", q.Left, q.Right)
	}
}

func isNumber(q *gojq.Query) bool {
	return q.Term != nil && q.Term.Type == gojq.TermTypeNumber && len(q.Term.SuffixList) == 0
}

// become makes q another query, and what that gives is measured.
func become(q, other *gojq.Query) {
	q.Left, q.Right, q.Op, q.Term = parenthesized(other), call(made), gojq.OpPipe, nil
}

// become makes q a call of the prelude.
func (g *guarding) become(q *gojq.Query, name string, arguments ...*gojq.Query) {
	g.called[name] = true
	become(q, call(name, arguments...))
}

// call is a call of a function.
func call(name string, arguments ...*gojq.Query) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name, Args: arguments}}}
}

// piped is what one query gives, given to another.
func piped(from, to *gojq.Query) *gojq.Query {
	return &gojq.Query{Left: parenthesized(from), Right: to, Op: gojq.OpPipe}
}

func parenthesized(q *gojq.Query) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeQuery, Query: q}}
}

func (g *guarding) term(t *gojq.Term) {
	if t == nil {
		return
	}
	g.index(t.Index)
	for _, s := range t.SuffixList {
		g.index(s.Index)
	}
	if t.Unary != nil {
		g.term(t.Unary.Term)
	}
	g.query(t.Query)
	g.control(t)
	switch t.Type {
	case gojq.TermTypeArray:
		g.query(t.Array.Query)
		measure(t)
	case gojq.TermTypeObject:
		g.object(t.Object)
		measure(t)
	case gojq.TermTypeString, gojq.TermTypeFormat:
		g.text(t.Str)
		if t.Type == gojq.TermTypeFormat || len(t.Str.Queries) > 0 {
			measure(t)
		}
	case gojq.TermTypeFunc:
		g.call(t)
	}
}

// control walks through what decides or repeats.
func (g *guarding) control(t *gojq.Term) {
	if t.If != nil {
		g.queries(t.If.Cond, t.If.Then, t.If.Else)
		for _, other := range t.If.Elif {
			g.queries(other.Cond, other.Then)
		}
	}
	if t.Try != nil {
		g.queries(t.Try.Body, t.Try.Catch)
	}
	if t.Label != nil {
		g.query(t.Label.Body)
	}
	if r := t.Reduce; r != nil {
		g.patterns(r.Patterns)
		g.queries(r.Query, r.Start, r.Update)
	}
	if f := t.Foreach; f != nil {
		g.patterns(f.Patterns)
		g.queries(f.Query, f.Start, f.Update, f.Extract)
	}
}

func (g *guarding) queries(all ...*gojq.Query) {
	for _, q := range all {
		g.query(q)
	}
}

func (g *guarding) object(o *gojq.Object) {
	for _, member := range o.KeyVals {
		g.text(member.KeyString)
		g.queries(member.KeyQuery, member.Val)
	}
}

// text measures each part of a text, which is put together in steps.
func (g *guarding) text(s *gojq.String) {
	if s == nil {
		return
	}
	for i, part := range s.Queries {
		g.query(part)
		if part.Term.Str == nil { // it is put in, and not written out
			s.Queries[i] = parenthesized(piped(part, call(made)))
		}
	}
}

func (g *guarding) patterns(all []*gojq.Pattern) {
	for _, p := range all {
		g.pattern(p)
	}
}

func (g *guarding) pattern(p *gojq.Pattern) {
	if p == nil {
		return
	}
	g.patterns(p.Array)
	for _, member := range p.Object {
		g.text(member.KeyString)
		g.query(member.KeyQuery)
		g.pattern(member.Val)
	}
}

// index checks where an expression looks, since it may assign there.
func (g *guarding) index(x *gojq.Index) {
	if x == nil {
		return
	}
	g.text(x.Str)
	g.queries(x.Start, x.End)
	if x.Start != nil && !x.IsSlice {
		x.Start = piped(x.Start, call(position))
	}
}

// measure has what a term gives measured, before its suffixes look into it.
func measure(t *gojq.Term) {
	inner := *t
	inner.SuffixList = nil
	*t = gojq.Term{
		Type: gojq.TermTypeQuery, SuffixList: t.SuffixList,
		Query: piped(&gojq.Query{Term: &inner}, call(made)),
	}
}

// call checks a call, which may be of a variable.
func (g *guarding) call(t *gojq.Term) {
	f := t.Func
	g.queries(f.Args...)
	if strings.HasPrefix(f.Name, "$") {
		if f.Name == "$ENV" || f.Name == "$__loc__" {
			g.refuse("%s can't be read: there is no environment, and no file", f.Name)
		}
		return
	}
	name := signature(f.Name, len(f.Args))
	if slices.Contains(g.scope, name) {
		return
	}
	r, ok := rules()[name]
	if !ok {
		g.refuse("there is no function %s", name)
		return
	}
	g.apply(r, t)
}

func (g *guarding) apply(r rule, t *gojq.Term) {
	if r.instead != "" {
		t.Func.Name = r.instead
		g.called[r.instead] = true
	}
	if r.positions {
		t.Func.Args[0] = piped(t.Func.Args[0], call(positions))
	}
	var matching *gojq.Query
	if r.matches {
		matching = g.regexp(t.Func)
	}
	if r.arguments {
		measureArguments(t.Func.Args, r.matches)
	}
	if matching != nil {
		inner := *t
		inner.SuffixList = nil
		*t = gojq.Term{Type: gojq.TermTypeQuery, SuffixList: t.SuffixList, Query: piped(matching, &gojq.Query{Term: &inner})}
	}
	if r.counted {
		measure(t)
	}
}

// measureArguments has what arguments give measured, but for a pattern.
func measureArguments(arguments []*gojq.Query, afterPattern bool) {
	for i, argument := range arguments {
		if i > 0 || !afterPattern {
			arguments[i] = piped(argument, call(made))
		}
	}
}

// maxInstructions is the longest program of a regular expression: each may be looked at
// for each character.
const maxInstructions = 1000

// regexp checks the pattern and the flags of a call, which must be known before it: the
// pattern could take much memory, and each pattern with its flags is kept. It gives the
// check of what is matched; nil if the call is refused.
func (g *guarding) regexp(f *gojq.Func) *gojq.Query {
	pattern, ok := written(f.Args[0])
	if !ok {
		g.refuse("the regular expression of %s must be a string that is written out", f.Name)
		return nil
	}
	flags := ""
	if n := len(f.Args); n == 3 || n == 2 && f.Name != "sub" && f.Name != "gsub" {
		if flags, ok = written(f.Args[n-1]); !ok {
			g.refuse("the flags of %s must be a string that is written out", f.Name)
			return nil
		}
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		g.refuse("the regular expression of %s: %w", f.Name, err)
		return nil
	}
	size := instructions(re)
	if size > maxInstructions {
		g.refuse("the regular expression %s is too large: repeat less in it", strconv.Quote(pattern))
	}
	check := matched
	if slices.Contains([]string{"scan", "splits", "split", "gsub"}, f.Name) || strings.Contains(flags, "g") {
		check = matchedAll
	}
	return call(check, &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeNumber, Number: strconv.Itoa(size)}})
}

// written is the string that a query is, if it is nothing else.
func written(q *gojq.Query) (string, bool) {
	t := q.Term
	if t == nil || t.Type != gojq.TermTypeString || len(t.Str.Queries) > 0 || len(t.SuffixList) > 0 {
		return "", false
	}
	return t.Str.Str, true
}

// instructions is about how long a regular expression's program is.
func instructions(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)/2
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}
