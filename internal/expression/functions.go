package expression

import (
	"strconv"
	"strings"
	"sync"

	"github.com/itchyny/gojq"
)

// rule is what a function needs so that its steps are bounded.
type rule struct {
	counted   bool   // what it gives is new, and is measured
	matches   bool   // it matches its input with its first argument, a regular expression
	positions bool   // its first argument is a path
	arguments bool   // it collects what its arguments give, which is measured as well
	instead   string // the function of the prelude that is called in its place
}

// What expressions may call besides their own functions. Left out is what reads more than
// its input (now, env, input, localtime), what makes more than the size of its input in
// one step (combinations, transpose, tostream) and what a webhook has no use for.
const (
	// passing give what they are given, a part of it, or a small value.
	passing = `not/0 empty/0 error/0 error/1 select/1 length/0 utf8bytelength/0 type/0 has/1 in/1 any/0 any/1 any/2 all/0 all/1 all/2
		isempty/1 first/0 first/1 last/0 last/1 limit/2 skip/2 until/2 while/2 repeat/1 range/1 range/2 range/3 recurse/0 recurse/1
		values/0 nulls/0 booleans/0 numbers/0 strings/0 arrays/0 objects/0 iterables/0 scalars/0 finites/0 normals/0
		startswith/1 endswith/1 ltrimstr/1 rtrimstr/1 trimstr/1 trim/0 ltrim/0 rtrim/0 toboolean/0 IN/1 IN/2 min/0 max/0
		floor/0 ceil/0 round/0 trunc/0 fabs/0 abs/0 sqrt/0 pow/2 exp/0 log/0 log2/0 log10/0 fmin/2 fmax/2 fmod/2
		infinite/0 nan/0 isinfinite/0 isnan/0 isnormal/0 gmtime/0 mktime/0 fromdate/0 fromdateiso8601/0`
	// making make a value of about the size of their input.
	making = `map_values/1 add/0 keys/0 to_entries/0 from_entries/0 reverse/0 flatten/0 flatten/1 sort/0 unique/0
		path/1 paths/0 paths/1 del/1 delpaths/1 pick/1 walk/1 tostring/0 tonumber/0 tojson/0 fromjson/0 split/1 explode/0 implode/0
		ascii_downcase/0 ascii_upcase/0 strftime/1 strptime/1 todate/0 todateiso8601/0`
	// collecting make one of all that their argument gives.
	collecting = `map/1 add/1 with_entries/1 sort_by/1 group_by/1 unique_by/1 min_by/1 max_by/1 INDEX/1 INDEX/2`
	// matching are those of regular expressions.
	matching = `test/1 test/2 match/1 match/2 capture/1 capture/2 scan/1 scan/2 split/2 splits/1 splits/2 sub/2 sub/3 gsub/2 gsub/3`
	// replaced are called by way of the prelude.
	replaced = `join/1 contains/1 inside/1 index/1 rindex/1 indices/1`
)

// rules are those of the functions above, by name and number of arguments.
var rules = sync.OnceValue(func() map[string]rule {
	all := map[string]rule{"getpath/1": {positions: true}, "setpath/2": {positions: true, counted: true}}
	for names, r := range map[string]rule{
		passing: {}, making: {counted: true}, collecting: {counted: true, arguments: true}, matching: {counted: true, arguments: true, matches: true},
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = r
		}
	}
	for name := range strings.FieldsSeq(replaced) {
		plain, _, _ := strings.Cut(name, "/")
		all[name] = rule{instead: "_" + plain, counted: true}
	}
	return all
})

// prelude has what is called in place of functions and operators whose one step could be
// long. The right side comes first, since jq evaluates it first.
const prelude = `
def _times($r; $l): [$l, $r] | _product | $l * $r;
def _minus($r; $l): [$l, $r] | _pairs | $l - $r;
def _set_times(at; $r): at |= _times($r; .);
def _set_minus(at; $r): at |= _minus($r; .);
def _join($s): . as $v | [$s, $v] | _joint | $v | join($s);
def _contains($x): . as $v | [$v, $x] | _pairs | $v | contains($x);
def _inside($x): . as $v | [$x, $v] | _pairs | $v | inside($x);
def _index($x): . as $v | [$v, $x] | _pairs | $v | index($x);
def _rindex($x): . as $v | [$v, $x] | _pairs | $v | rindex($x);
def _indices($x): . as $v | [$v, $x] | _pairs | $v | indices($x);
.`

// prelude's functions, which no expression changes.
var preludeFunctions = sync.OnceValue(func() []*gojq.FuncDef {
	query, err := gojq.Parse(prelude)
	if err != nil {
		panic(err) // it is a constant
	}
	return query.FuncDefs
})

// signature is how rules name a function.
func signature(name string, arguments int) string { return name + "/" + strconv.Itoa(arguments) }
