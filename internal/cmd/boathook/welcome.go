package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"
)

// welcome says where everything is and, for development, prints a link to the console
// that signs in once, at the path firstVisit, and commands to paste that show the whole
// way through.
func welcome(w io.Writer, c config, d data, firstVisit string) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "Boathook is at %s; ", c.publicURL)
	if c.inMemory() {
		fmt.Fprintln(&text, "everything is in memory.")
	} else {
		fmt.Fprintf(&text, "its data is in %s.\n", c.data)
	}
	tokenFile := filepath.Join(c.data, adminTokenFile)
	if !c.dev {
		if c.adminToken == "" && !c.inMemory() {
			fmt.Fprintf(&text, "The admin token is in %s.\n", tokenFile)
		}
		fmt.Fprintf(&text, "The console is at %s/console/.\n", c.publicURL)
		_, err := w.Write(text.Bytes())
		return err
	}
	login := fmt.Sprintf("%s login %s --token-file %s", os.Args[0], c.publicURL, tokenFile)
	switch {
	case c.adminToken != "":
		login = fmt.Sprintf(`echo "$%s" | %s login %s`, adminTokenVariable, os.Args[0], c.publicURL)
	case c.inMemory():
		login = fmt.Sprintf("echo %s | %s login %s", d.adminToken, os.Args[0], c.publicURL)
	}
	if err := lines.Execute(&text, map[string]string{"Console": c.publicURL + firstVisit, "Login": login, "Boathook": os.Args[0]}); err != nil {
		return err
	}
	_, err := w.Write(text.Bytes())
	return err
}

var lines = template.Must(template.New("welcome").Parse(`Command targets and loopback URLs are allowed here (--dev), and only here.

Open the console, signed in (this link works once, for ten minutes):

  {{.Console}}

Or paste these into another terminal:

  {{.Login}}
  {{.Boathook}} deployments create hello --command 'echo working >&2; cat'
  {{.Boathook}} trigger hello -d '{"hello":"world"}' --watch

{{.Boathook}} listen --deployment hello, in a third one, shows what its webhooks are told
with each further trigger; {{.Boathook}} help lists what else there is.
`))
