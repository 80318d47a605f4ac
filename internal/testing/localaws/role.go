package localaws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Statement is one that a role allows by.
type Statement struct {
	Sid         string
	Actions     []string
	Resources   []Pattern // of ARNs
	LeadingKeys []Pattern // if any: all that DynamoDB's partition keys may be
	Attributes  []Pattern // if any: all that DynamoDB's attributes may be
	Returns     []Pattern // if any: what a call that says what it returns may say
}

// Allows reports whether the statement does.
func (s Statement) Allows(a Access) bool {
	if !slices.Contains(s.Actions, a.Action) || !matchesAny(s.Resources, a.Resource) {
		return false
	}
	return allMatch(s.LeadingKeys, a.LeadingKeys) && allMatch(s.Attributes, a.Attributes) && allMatch(s.Returns, a.Returns)
}

// allMatch reports whether each text matches a pattern, if there are any.
func allMatch(patterns []Pattern, texts []string) bool {
	return patterns == nil || !slices.ContainsFunc(texts, func(text string) bool { return !matchesAny(patterns, text) })
}

func matchesAny(patterns []Pattern, text string) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.expression.MatchString(text) })
}

// Pattern is a policy's text in which * is any characters and ? is one.
type Pattern struct {
	text       string
	expression *regexp.Regexp
}

func (p Pattern) String() string { return p.text }

func newPattern(text string) Pattern {
	expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(text))
	return Pattern{text, regexp.MustCompile(`(?s)^` + expression + `$`)}
}

// role is what is understood of a role's properties.
type role struct {
	AssumeRolePolicyDocument, Tags any // which allow the function itself nothing
	// ManagedPolicyArns are of options that no deployment here chooses; one that is there is
	// an error.
	ManagedPolicyArns []any
	Policies          []struct {
		PolicyName     string
		PolicyDocument struct {
			Version   string
			Statement []struct {
				Sid, Effect      string
				Action, Resource any
				Condition        map[string]map[string]any
			}
		}
	}
}

// Statements are what the role of the function of a logical id allows. Whatever
// of the role is not known here, such as a Deny, is an error.
func (d *Cloud) Statements(function string) (statements []Statement, err error) {
	attribute, _ := d.resolver.existing[function].Properties["Role"].(map[string]any)
	of, _ := attribute["Fn::GetAtt"].([]any)
	if len(of) != 2 {
		return nil, fmt.Errorf("%s has no role of the template's", function)
	}
	var properties json.RawMessage
	if err := d.resolver.properties(fmt.Sprint(of[0]), &properties); err != nil {
		return nil, err
	}
	var r role
	decoder := json.NewDecoder(bytes.NewReader(properties))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("%s: %w", of[0], err)
	}
	if len(r.ManagedPolicyArns) > 0 {
		return nil, fmt.Errorf("%s: what managed policies allow is not known", of[0])
	}
	for _, policy := range r.Policies {
		for _, s := range policy.PolicyDocument.Statement {
			if s.Effect != "Allow" {
				return nil, fmt.Errorf("%s: the effect %q is not known", s.Sid, s.Effect)
			}
			statement := Statement{Sid: s.Sid, Actions: oneOrMore(s.Action), Resources: patterns(s.Resource)}
			for operator, conditions := range s.Condition {
				for key, values := range conditions {
					switch operator + " " + key {
					case "ForAllValues:StringLike dynamodb:LeadingKeys":
						statement.LeadingKeys = patterns(values)
					case "ForAllValues:StringEquals dynamodb:Attributes":
						statement.Attributes = patterns(values)
					case "StringEqualsIfExists dynamodb:ReturnValues":
						statement.Returns = patterns(values)
					default:
						return nil, fmt.Errorf("%s: the condition %s of %s is not known", s.Sid, operator, key)
					}
				}
			}
			if statement.Attributes != nil && !slices.Equal(statement.Actions, []string{"dynamodb:UpdateItem"}) {
				return nil, fmt.Errorf("%s: which attributes %s has is not known", s.Sid, statement.Actions)
			}
			statements = append(statements, statement)
		}
	}
	return statements, nil
}

func patterns(v any) (patterns []Pattern) {
	for _, text := range oneOrMore(v) {
		patterns = append(patterns, newPattern(text))
	}
	return patterns
}

// oneOrMore is a policy's element that may be a text or a list of them.
func oneOrMore(v any) (texts []string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, element := range list {
		texts = append(texts, fmt.Sprint(element))
	}
	return texts
}
