package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"boathook/internal/cache"
	"boathook/internal/egress"
)

// Client fetches what a sender's signatures need; see [egress.Client].
type Client interface {
	Do(req *http.Request) (*http.Response, error)
}

// Limits of what is fetched.
const (
	maxFetched   = 64 << 10 // bytes
	fetchTimeout = 5 * time.Second

	// A certificate's URL names it for good; an hour bounds how long a withdrawn one
	// is trusted.
	certificateTTL  = time.Hour
	maxCertificates = 100
)

// certificates remembers what URLs of certificates hold.
type certificates = cache.Cache[[]byte]

// fetch gets what a URL of a sender's holds. Certificates are kept.
func (in *Intake) fetch(ctx context.Context, url string) ([]byte, error) {
	if !strings.HasSuffix(url, ".pem") {
		return in.get(ctx, url)
	}
	in.once.Do(func() { in.certificates = &certificates{TTL: certificateTTL, Size: maxCertificates, Now: in.Now} })
	return in.certificates.Get(ctx, url, func(ctx context.Context) ([]byte, error) { return in.get(ctx, url) })
}

// get leaves the URL out of its errors: it may hold a token.
func (in *Intake) get(ctx context.Context, url string) ([]byte, error) {
	if in.Client == nil {
		return nil, errors.New("nothing can be fetched here")
	}
	start := in.Now()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	res, err := in.Client.Do(req)
	if err != nil {
		return nil, errors.New(egress.Explain(err, in.Now().Sub(start)))
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxFetched))
	switch {
	case err != nil:
		return nil, errors.New("the answer broke off")
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answered %d", req.URL.Host, res.StatusCode)
	}
	return text, nil
}
