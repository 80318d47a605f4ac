package service

import (
	"context"
	"encoding/json"
	"fmt"
)

// sealHeaders encrypts headers, which often hold a credential. No headers seal
// to nil.
func (s *core) sealHeaders(ctx context.Context, workspaceID, subject string, headers map[string]string) ([]byte, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	plain, err := json.Marshal(headers)
	if err != nil {
		return nil, fmt.Errorf("encode the headers of %s: %w", subject, err)
	}
	sealed, err := s.cfg.Seal.Seal(ctx, workspaceID, subject, plain)
	if err != nil {
		return nil, fmt.Errorf("seal the headers of %s: %w", subject, err)
	}
	return sealed, nil
}
