package boathook

// LogEvent is what an agent's log calls a line that the agent has printed, in
// Crewship's lists and live frames alike.
const LogEvent = "output"

// LogLevel is the level in an agent's log of what came from a stream.
func LogLevel(stream string) string {
	if stream == "stderr" {
		return "error"
	}
	return "info"
}
