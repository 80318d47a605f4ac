package cloud

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Statement is one that a role allows by.
type Statement struct {
	Sid         string
	Actions     []string
	Resources   []string // ARNs, with wildcards
	LeadingKeys []string // if any: all that DynamoDB's partition keys may be, with wildcards
}

// Allows reports whether the statement does.
func (s Statement) Allows(a Access) bool {
	if !slices.Contains(s.Actions, a.Action) || !matchesAny(s.Resources, a.Resource) {
		return false
	}
	return s.LeadingKeys == nil || !slices.ContainsFunc(a.LeadingKeys, func(key string) bool { return !matchesAny(s.LeadingKeys, key) })
}

// matchesAny reports whether a text is what one of the patterns stands for, in
// which * is any characters and ? is one.
func matchesAny(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		return regexp.MustCompile(`(?s)^` + expression + `$`).MatchString(text)
	})
}

// Statements are what the role of the function of a logical id allows. A
// condition that is not known here is an error.
func (d *Cloud) Statements(function string) (statements []Statement, err error) {
	role, _ := d.config.Template.Resources[function].Properties["Role"].(map[string]any)["Fn::GetAtt"].([]any)
	if len(role) != 2 {
		return nil, fmt.Errorf("%s has no role of the template's", function)
	}
	var p struct {
		Policies []struct {
			PolicyDocument struct {
				Statement []struct {
					Sid              string
					Action, Resource any
					Condition        map[string]map[string]any
				}
			}
		}
	}
	if err := d.resolver.properties(fmt.Sprint(role[0]), &p); err != nil {
		return nil, err
	}
	for _, policy := range p.Policies {
		for _, s := range policy.PolicyDocument.Statement {
			statement := Statement{Sid: s.Sid, Actions: oneOrMore(s.Action), Resources: oneOrMore(s.Resource)}
			for operator, conditions := range s.Condition {
				for key, values := range conditions {
					if operator != "ForAllValues:StringLike" || key != "dynamodb:LeadingKeys" {
						return nil, fmt.Errorf("%s: the condition %s of %s is not known", s.Sid, operator, key)
					}
					statement.LeadingKeys = oneOrMore(values)
				}
			}
			statements = append(statements, statement)
		}
	}
	return statements, nil
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
