package dynamo_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestNothingOfTheDomainIsStored holds every type that is stored to be one of this
// package's own, with a name for each attribute: then what is stored does not
// follow what the domain calls its fields.
func TestNothingOfTheDomainIsStored(t *testing.T) {
	source := readSource(t)
	items, problems := source.stored(t, "")
	for _, p := range problems {
		t.Error(p)
	}
	// The check itself sees what is there: of each way to store and to read one.
	for _, name := range []string{
		"workspaceItem", "sourceItem", "verificationItem", "versionItem", "liveVersionItem", "incomingItem", "disablingItem",
		"headItem", "deliveryItem", "textItem", "chunkItem", "lineItem", "attemptText", "responseText", "senderItem", "key",
	} {
		if !slices.Contains(items, name) {
			t.Errorf("%s is not found among what is stored: %v", name, items)
		}
	}
}

// TestADomainsStructIsFoundInWhateverWayItIsStored tries the check above on faults.
func TestADomainsStructIsFoundInWhateverWayItIsStored(t *testing.T) {
	source := readSource(t)
	for _, c := range []struct{ name, code, want string }{
		{"put", `func bad(s *Store, v boathook.Source) { s.put(nil, key{}, "", v) }`, "boathook.Source"},
		{"a pointer", `func bad(s *Store, v *boathook.Source) { s.put(nil, key{}, "", v) }`, "boathook.Source"},
		{"a store's struct", `func bad(s *Store, v store.Load) { s.putRecord(nil, v, "", nil) }`, "store.Load"},
		{"encoded", `func bad(v boathook.Claim) { encodeAt(key{}, v) }`, "boathook.Claim"},
		{"a value of an update", `func bad(s *Store, v boathook.Claim) { s.changeRecord(nil, key{}, "", "", map[string]any{":a": v}) }`, "boathook.Claim"},
		{"a value that is added", `func bad(values map[string]any, v boathook.Claim) { values[":a"] = v }`, "boathook.Claim"},
		{"a value in a variable", `func bad(v boathook.Claim) { var hidden any = v; encode(hidden) }`, "hidden"},
		{"a value in a list", `func bad(v boathook.Claim) { encode([]any{v}) }`, "several types"},
		{"a value in a map in a map", `func bad(v boathook.Claim) { encode(map[string]any{"a": map[string]any{"b": v}}) }`, "boathook.Claim"},
		{"a result", `func hide(v boathook.Claim) any { return v }`, "hide"},
		{"a value in a field", `type bad struct { Hidden any }`, "Hidden"},
		{"decoded", `func bad() { decode[boathook.Run](nil) }`, "boathook.Run"},
		{"fetched", `func bad(s *Store) { fetch[boathook.Run](nil, s, "", key{}, true) }`, "boathook.Run"},
		{"listed", `func bad(s *Store, as func(boathook.Run) int) { listed(nil, s, key{}, "", boathook.Page{}, as) }`, "boathook.Run"},
		{"in JSON", `func bad(v []boathook.LogLine) { json.Marshal(v) }`, "boathook.LogLine"},
		{"read from JSON", `func bad() { var v []boathook.LogLine; json.Unmarshal(nil, &v) }`, "boathook.LogLine"},
		{"in an item", "type bad struct { key; Claim boathook.Claim `dynamodbav:\"c\"` }\nfunc put(s *Store) { s.putRecord(nil, bad{}, \"\", nil) }", "boathook.Claim"},
		{"embedded in an item", "type bad struct { key; boathook.Claim }\nfunc put(s *Store) { s.putRecord(nil, bad{}, \"\", nil) }", "boathook.Claim"},
		{"in a list in an item", "type bad struct { Claims map[string][]*boathook.Claim `dynamodbav:\"c\"` }\nfunc get() { decode[bad](nil) }", "boathook.Claim"},
		{"an attribute without a name", "type bad struct { key; Count int }\nfunc get() { decode[bad](nil) }", "Count"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := source.stored(t, c.code)
			if len(problems) == 0 || !strings.Contains(strings.Join(problems, "\n"), c.want) {
				t.Errorf("the faults are %q, want one about %s", problems, c.want)
			}
		})
	}
}

// source is this package's, without its tests, and what it imports.
type source struct {
	fset    *token.FileSet
	files   []*ast.File
	imports types.Importer
}

func readSource(t *testing.T) source {
	t.Helper()
	s := source{fset: token.NewFileSet()}
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(s.fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, f)
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", ".")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	for line := range bytes.Lines(out) {
		path, file, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		exports[path] = file
	}
	s.imports = importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return s
}

// stored gives the names of the structs that the package stores or reads, with some
// code added to it, and what is wrong with them.
func (s source) stored(t *testing.T, code string) (items, problems []string) {
	t.Helper()
	extra, err := parser.ParseFile(s.fset, "extra.go", `package dynamo

import (
	"encoding/json"

	"boathook/internal/boathook"
	"boathook/internal/store"
)

var (
	_ json.RawMessage
	_ boathook.Run
	_ store.Load
)

`+code, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	c := check{
		info: types.Info{
			Types: make(map[ast.Expr]types.TypeAndValue), Defs: make(map[*ast.Ident]types.Object),
			Uses: make(map[*ast.Ident]types.Object), Instances: make(map[*ast.Ident]types.Instance),
		},
		reads: make(map[*types.TypeParam]bool), seen: make(map[types.Type]bool), items: make(map[string]bool),
	}
	files := append(slices.Clone(s.files), extra)
	config := types.Config{Importer: s.imports}
	if c.pkg, err = config.Check("boathook/internal/store/dynamo", s.fset, files, &c.info); err != nil {
		t.Fatal(err)
	}
	c.variables()
	for _, f := range files {
		ast.Inspect(f, c.values)
	}
	c.typeArguments()
	slices.Sort(c.problems)
	return slices.Collect(maps.Keys(c.items)), slices.Compact(c.problems)
}

// check looks at each value that becomes an any, which is how values get to what
// stores and reads them, and at each type argument by which one is decoded.
type check struct {
	pkg      *types.Package
	info     types.Info
	reads    map[*types.TypeParam]bool // type parameters whose values are stored or read
	seen     map[types.Type]bool
	items    map[string]bool
	problems []string
}

func isAny(t types.Type) bool {
	i, ok := types.Unalias(t).(*types.Interface)
	return ok && i.Empty()
}

// variables refuses those that may hold a value of any type, and functions that
// give one: but for parameters, into which [check.values] sees.
func (c *check) variables() {
	params := make(map[types.Object]bool)
	for _, object := range c.info.Defs {
		f, ok := object.(*types.Func)
		if !ok {
			continue
		}
		for v := range f.Signature().Params().Variables() {
			params[v] = true
		}
		for v := range f.Signature().Results().Variables() {
			if isAny(v.Type()) {
				c.problems = append(c.problems, f.Name()+" may give a value of any type")
			}
		}
	}
	for _, object := range c.info.Defs {
		if v, ok := object.(*types.Var); ok && isAny(v.Type()) && !params[v] {
			c.problems = append(c.problems, v.Name()+" may hold a value of any type")
		}
	}
}

// values finds the values that become an any, in calls and in maps.
func (c *check) values(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		c.call(n)
	case *ast.CompositeLit:
		if m, ok := c.info.TypeOf(n).Underlying().(*types.Map); ok && isAny(m.Elem()) {
			for _, e := range n.Elts {
				c.value(e.(*ast.KeyValueExpr).Value)
			}
		}
	case *ast.AssignStmt:
		for i, to := range n.Lhs {
			switch {
			case !isAny(c.info.TypeOf(to)):
			case len(n.Lhs) == len(n.Rhs):
				c.value(n.Rhs[i])
			default:
				c.problems = append(c.problems, "several values are assigned at once to what may hold any type")
			}
		}
	}
	return true
}

// texts begin the names of functions that write text for people: what they are
// given is not stored.
var texts = []string{"fmt.", "log/slog.", "boathook/internal/boathook.Errorf", "boathook/internal/boathook.InvalidField"}

func (c *check) call(n *ast.CallExpr) {
	signature, ok := c.info.TypeOf(n.Fun).(*types.Signature)
	if !ok {
		return // a conversion, or a built-in function
	}
	if callee := c.callee(n); callee != nil && callee.Pkg() != nil && slices.ContainsFunc(texts, func(name string) bool {
		return strings.HasPrefix(callee.Pkg().Path()+"."+callee.Name(), name)
	}) {
		return
	}
	params := signature.Params()
	for i, arg := range n.Args {
		last := params.Len() - 1
		to := params.At(min(i, last)).Type()
		if signature.Variadic() && i >= last && !n.Ellipsis.IsValid() {
			to = to.(*types.Slice).Elem()
		}
		if isAny(to) {
			c.value(arg)
		}
	}
}

func (c *check) callee(n *ast.CallExpr) types.Object {
	switch f := ast.Unparen(n.Fun).(type) {
	case *ast.Ident:
		return c.info.Uses[f]
	case *ast.SelectorExpr:
		return c.info.Uses[f.Sel]
	}
	return nil
}

// value looks at one that becomes an any. One that is an any was looked at where it
// became one.
func (c *check) value(e ast.Expr) {
	if t := c.info.TypeOf(e); !isAny(t) {
		c.typ(t, "a value")
	}
}

// typeArguments looks at those for type parameters whose values are stored or read,
// until no more parameters are known to be such.
func (c *check) typeArguments() {
	for before := -1; before != len(c.reads); {
		before = len(c.reads)
		for name, instance := range c.info.Instances {
			f, ok := c.info.Uses[name].(*types.Func)
			if !ok {
				continue
			}
			params := f.Origin().Signature().TypeParams()
			for i := range params.Len() {
				if c.reads[params.At(i)] {
					c.typ(instance.TypeArgs.At(i), "a type argument of "+f.Name())
				}
			}
		}
	}
}

// typ looks at a type that is stored, and at all of which it consists. of is where
// it is.
func (c *check) typ(t types.Type, of string) {
	t = types.Unalias(t)
	if c.seen[t] {
		return
	}
	c.seen[t] = true
	switch u := t.(type) {
	case *types.TypeParam:
		c.reads[u] = true
	case *types.Pointer:
		c.typ(u.Elem(), of)
	case *types.Slice:
		c.typ(u.Elem(), of)
	case *types.Array:
		c.typ(u.Elem(), of)
	case *types.Map:
		if !isAny(u.Elem()) { // see values
			c.typ(u.Elem(), of)
		}
	case *types.Interface:
		c.problems = append(c.problems, of+" may hold values of several types")
	case *types.Struct:
		c.fields(u, of)
	case *types.Named:
		name := u.Obj()
		if name.Name() == "AttributeValue" {
			return // it is encoded already
		}
		switch s, isStruct := u.Underlying().(*types.Struct); {
		case !isStruct:
			c.typ(u.Underlying(), name.Name())
		case name.Pkg() == c.pkg:
			c.items[name.Name()] = true
			c.fields(s, name.Name())
		case name.Pkg().Path() != "time" || name.Name() != "Time": // which encode and decode know
			c.problems = append(c.problems, fmt.Sprintf("%s is or holds a %s.%s, whose fields are not the store's to name", of, name.Pkg().Name(), name.Name()))
		}
	}
}

func (c *check) fields(s *types.Struct, of string) {
	for i := range s.NumFields() {
		f, tag := s.Field(i), reflect.StructTag(s.Tag(i))
		name := tag.Get("dynamodbav") + tag.Get("json")
		if _, isStruct := f.Type().Underlying().(*types.Struct); !(f.Embedded() && isStruct) && (name == "" || name[0] == ',') {
			c.problems = append(c.problems, fmt.Sprintf("%s.%s names no attribute", of, f.Name()))
		}
		c.typ(f.Type(), of+"."+f.Name())
	}
}
