package shipway

import (
	"context"

	"boathook/internal/api/httpjson"
	"boathook/internal/boathook"
	"boathook/internal/service"
)

// Clients of GitHub's hooks API read a repository before they read its hooks, and
// some refuse one that lacks a field of GitHub's. What Boathook does not know of a
// repository is null, false or 0, and what a link of it leads to is not found.

// baseURL is where the paths of GitHub's API begin: behind the prefix that the
// request came with, since clients follow links below their own base URL only.
func baseURL(c httpjson.Call) string { return c.PublicURL() + c.Prefix }

func repositoryURL(c httpjson.Call, s boathook.Source) string {
	return baseURL(c) + "/repos/" + s.Owner + "/" + s.Name
}

// repositoryName is what names a repository and its owner.
type repositoryName struct {
	ID       int32     `json:"id"`
	Name     string    `json:"name"`
	FullName string    `json:"full_name"`
	Owner    ownerName `json:"owner"`
}

type ownerName struct {
	ID    int32  `json:"id"`
	Login string `json:"login"`
}

func nameRepository(s boathook.Source) repositoryName {
	return repositoryName{
		ID: s.Number(), Name: s.Name, FullName: s.Owner + "/" + s.Name,
		Owner: ownerName{s.OwnerNumber(), s.Owner},
	}
}

// links are fields of a GitHub object by what follows its URL there: an RFC 6570
// template.
type links map[string]string

var repositoryLinks = links{
	"archive_url":       "/{archive_format}{/ref}",
	"assignees_url":     "/assignees{/user}",
	"blobs_url":         "/git/blobs{/sha}",
	"branches_url":      "/branches{/branch}",
	"collaborators_url": "/collaborators{/collaborator}",
	"comments_url":      "/comments{/number}",
	"commits_url":       "/commits{/sha}",
	"compare_url":       "/compare/{base}...{head}",
	"contents_url":      "/contents/{+path}",
	"contributors_url":  "/contributors",
	"deployments_url":   "/deployments",
	"downloads_url":     "/downloads",
	"events_url":        "/events",
	"forks_url":         "/forks",
	"git_commits_url":   "/git/commits{/sha}",
	"git_refs_url":      "/git/refs{/sha}",
	"git_tags_url":      "/git/tags{/sha}",
	"hooks_url":         "/hooks",
	"html_url":          "",
	"issue_comment_url": "/issues/comments{/number}",
	"issue_events_url":  "/issues/events{/number}",
	"issues_url":        "/issues{/number}",
	"keys_url":          "/keys{/key_id}",
	"labels_url":        "/labels{/name}",
	"languages_url":     "/languages",
	"merges_url":        "/merges",
	"milestones_url":    "/milestones{/number}",
	"notifications_url": "/notifications{?since,all,participating}",
	"pulls_url":         "/pulls{/number}",
	"releases_url":      "/releases{/id}",
	"stargazers_url":    "/stargazers",
	"statuses_url":      "/statuses/{sha}",
	"subscribers_url":   "/subscribers",
	"subscription_url":  "/subscription",
	"tags_url":          "/tags",
	"teams_url":         "/teams",
	"trees_url":         "/git/trees{/sha}",
	"url":               "",
}

var ownerLinks = links{
	"events_url":          "/events{/privacy}",
	"followers_url":       "/followers",
	"following_url":       "/following{/other_user}",
	"gists_url":           "/gists{/gist_id}",
	"html_url":            "",
	"organizations_url":   "/orgs",
	"received_events_url": "/received_events",
	"repos_url":           "/repos",
	"starred_url":         "/starred{/owner}{/repo}",
	"subscriptions_url":   "/subscriptions",
	"url":                 "",
}

func (l links) addTo(view map[string]any, base string) {
	for field, rest := range l {
		view[field] = base + rest
	}
}

func viewRepository(c httpjson.Call, s boathook.Source) map[string]any {
	names := nameRepository(s)
	owner := map[string]any{
		"id": names.Owner.ID, "login": names.Owner.Login, "type": "User", "site_admin": false, "avatar_url": "", "gravatar_id": "",
	}
	ownerLinks.addTo(owner, baseURL(c)+"/users/"+s.Owner)

	mayChange := c.Role.Allows(boathook.Member)
	view := map[string]any{
		"id": names.ID, "name": names.Name, "full_name": names.FullName, "owner": owner,
		"created_at": formatTime(s.CreatedAt), "updated_at": formatTime(s.CreatedAt), "pushed_at": nil,
		"private": true, "visibility": "private",
		"permissions": map[string]bool{"admin": mayChange, "push": mayChange, "pull": true},
	}
	repositoryLinks.addTo(view, repositoryURL(c, s))
	for _, field := range []string{
		"clone_url", "default_branch", "description", "git_url", "homepage", "language", "license", "mirror_url", "ssh_url", "svn_url",
	} {
		view[field] = nil
	}
	for _, field := range []string{
		"archived", "disabled", "fork", "has_downloads", "has_issues", "has_pages", "has_projects", "has_wiki",
	} {
		view[field] = false
	}
	for _, field := range []string{
		"forks_count", "network_count", "open_issues_count", "size", "stargazers_count", "subscribers_count", "watchers_count",
	} {
		view[field] = 0
	}
	return view
}

func (f face) getRepository(ctx context.Context, c httpjson.Call, _ httpjson.None) (map[string]any, error) {
	s, err := f.Repositories.Find(ctx, c.Caller, repositoryInPath(c))
	return viewRepository(c, s), err
}

func repositoryInPath(c httpjson.Call) service.Repository {
	return service.Repository{Owner: c.PathValue("owner"), Name: c.PathValue("repo")}
}
