package preset

import "boathook/internal/signature"

// GitLab is the name of a preset.
const GitLab = "gitlab"

// gitlab is GitLab (GitLab Docs, "Webhooks"): X-Gitlab-Token is the secret itself.
// Its Idempotency-Key, which later versions send, is read as any other.
var gitlab = preset{
	name: GitLab, secret: hasSecret,
	verify: secretIn("X-Gitlab-Token"),
	events: oneOf(inHeader("X-Gitlab-Event"), inInput("/object_kind")),
	id:     inHeader("X-Gitlab-Event-UUID"),
}

// secretIn verifies that a header is the secret.
func secretIn(name string) func(*message, []byte) error {
	return func(m *message, _ []byte) error {
		value, err := signature.Required(m.Header, name)
		if err == nil {
			err = signature.VerifySecret(name, value, m.Secret)
		}
		if err != nil {
			return unproven(err)
		}
		return nil
	}
}
