package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"boathook/internal/diagnose"
)

// maxBody is the longest body that is read. It is more than Boathook sends.
const maxBody = 1 << 20

type verifyFlags struct {
	secret, dialect, at, body string
	headers                   []string
}

func verifyCommand(s *session) *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use: "verify", Short: "Say whether a request's signature is right and, if not, why", Args: exactly(),
		Long: `Says whether the signature of a request that was received is right and, if not, why.

Its body is read from the standard input or a file, byte for byte; its headers are
given one by one. A signature by another secret and one over another body can't be
told apart in general, but the usual mistakes are tried: a body that was parsed and
serialised again, a line ending, a secret that was or was not decoded from base64,
the timestamp left out, another encoding or prefix. The one that makes the signature
right is named. Nothing is sent anywhere.

A request that was kept is too old by now: --at says when it arrived.

It exits with 0 if the signature is right, and with 1 if it is wrong.`,
		Example: `  printf '{"event":"run.succeeded"}' | boathook verify --secret whsec_dGVzdA== \
    --header 'X-Crewship-Timestamp: 1771143284' --at 1771143290 \
    --header 'X-Crewship-Signature: 711ed17860c48696a0a320cafb73a4dea8bef8b6411baf61cbef777e65bc8848'`,
		RunE: func(*cobra.Command, []string) error {
			request, err := f.request(s)
			if err != nil {
				return err
			}
			v, err := diagnose.Examine(request)
			if err != nil {
				return wrong("%w", err)
			}
			return s.tellVerified(v)
		},
	}
	c.Flags().StringVar(&f.secret, "secret", "", "the webhook's `secret`, or @FILE; else "+secretVariable)
	c.Flags().StringArrayVar(&f.headers, "header", nil, "a header of the request, `'Name: value'`; repeat it for each")
	c.Flags().StringVar(&f.dialect, "dialect", "", "how it is signed: "+strings.Join(diagnose.Names(), ", ")+" (default: what the headers say)")
	c.Flags().StringVar(&f.at, "at", "", "when it arrived: RFC 3339 or Unix seconds (default: now)")
	c.Flags().StringVar(&f.body, "body", "", "the `file` of the body (default: the standard input)")
	return c
}

// request reads what the flags give.
func (f verifyFlags) request(s *session) (r diagnose.Request, err error) {
	r.Dialect = f.dialect
	if r.Secret, err = s.requiredSecret(f.secret); err != nil {
		return r, err
	}
	if r.Header, err = givenHeaders("header", f.headers); err != nil {
		return r, err
	}
	if r.At, err = givenTime(f.at); err != nil {
		return r, err
	}
	r.Body, err = f.readBody(s.env.Stdin)
	return r, err
}

func (f verifyFlags) readBody(stdin io.Reader) (body []byte, err error) {
	if f.body != "" {
		body, err = readFile(f.body, maxBody)
	} else {
		body, err = readBounded(stdin, maxBody)
	}
	if err != nil {
		return nil, wrong("the body: %w", err)
	}
	return body, nil
}

// givenTime reads a time; nothing is now.
func givenTime(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	if seconds, err := strconv.ParseUint(text, 10, 40); err == nil {
		return time.Unix(int64(seconds), 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, wrong("--at: expected a time such as 2026-11-21T19:00:00Z, or Unix seconds")
	}
	return at, nil
}

func (s *session) tellVerified(v diagnose.Verdict) error {
	w := s.env.Stdout
	var outcome error
	if !v.Right {
		outcome = &Error{Code: Failed} // all is said
	}
	if s.output == outputJSON {
		if err := s.line(v); err != nil {
			return err
		}
		return outcome
	}
	how := ""
	if v.Guessed {
		how = fmt.Sprintf(" (dialect %s, by its headers)", v.Dialect)
	}
	if v.Right {
		_, err := fmt.Fprintf(w, "%s: the signature verifies%s.\n", s.paint("right"), how)
		return err
	}
	if _, err := fmt.Fprintf(w, "%s: the request does not verify%s.\n", s.paint("wrong"), how); err != nil {
		return err
	}
	for _, p := range v.Problems {
		if err := printFolded(w, "  "+string(p.Kind), 13, p.Text); err != nil {
			return err
		}
	}
	return outcome
}
