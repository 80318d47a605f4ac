package boathook

// Release is what this build is called, such as v0.2.0. The Makefile stamps it with
// what git says (go build -ldflags "-X boathook/internal/boathook.Release=…").
var Release = "dev"

// UserAgent is how Boathook's own requests introduce themselves, unless a dialect has
// a name of its own.
func UserAgent() string { return "Boathook/" + Release }
