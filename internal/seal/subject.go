package seal

// The subjects of what is sealed: whose it is, and what of it. Each kind has its
// own, so that nothing passes for something else of the same object, such as a
// webhook's headers, which its owner chooses, for its secret.

// OutgoingSecret is of the secrets that an outgoing webhook signs with. The
// current one and the one before share it, since the one becomes the other.
func OutgoingSecret(webhookID string) string { return webhookID + "/signing-secret" }

// OutgoingHeaders is of the headers that an outgoing webhook sends.
func OutgoingHeaders(webhookID string) string { return webhookID + "/headers" }

// IncomingSecret is of the secret that an incoming webhook's senders prove
// themselves with.
func IncomingSecret(webhookID string) string { return webhookID + "/sender-secret" }

// IncomingToken is of the token in an incoming webhook's URL.
func IncomingToken(webhookID string) string { return webhookID + "/url-token" }

// AgentSecret is of the secret that an agent's triggers are signed with.
func AgentSecret(agentID string) string { return agentID + "/webhook-secret" }

// AgentSender is of the secret that the senders of an agent's preset prove
// themselves with.
func AgentSender(agentID string) string { return agentID + "/sender-secret" }

// TargetHeaders is of the headers that a version's target is sent.
func TargetHeaders(versionID string) string { return versionID + "/target-headers" }
