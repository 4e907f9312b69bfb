package bundle

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A standard parameter of SSM holds 4,096 characters (Systems Manager endpoints and quotas), which in base64 are 3,072 bytes.
const (
	partChars = 4_096
	partBytes = partChars / 4 * 3
)

// MaxParts is the most parts of one content. An account has 10,000 standard parameters in a Region (same page): at the
// most 200 they hold 49 contents of that size and the statements about them. A cold start then reads 20 batches of ten.
const MaxParts = 200

// Split gives the parts of a content: base64 with padding, each but the last of exactly 4,096 characters. There is one
// split of a content. Who stores the parts looks at their number first: Join takes MaxParts.
func Split(content []byte) []string {
	var parts []string
	for len(content) > 0 {
		n := min(partBytes, len(content))
		parts = append(parts, base64.StdEncoding.EncodeToString(content[:n]))
		content = content[n:]
	}
	return parts
}

// Join gives the content of parts. It takes what Split gives, to the character, and nothing else: no content has two
// spellings.
func Join(parts []string) ([]byte, error) {
	switch {
	case len(parts) == 0:
		return nil, errors.New("join parts: there are none")
	case len(parts) > MaxParts:
		return nil, fmt.Errorf("join parts: %d of them: at most %d", len(parts), MaxParts)
	}
	content := make([]byte, 0, len(parts)*partBytes)
	for i, part := range parts {
		fault := func(format string, args ...any) error {
			return fmt.Errorf("join parts: part %d of %d: %w", i+1, len(parts), fmt.Errorf(format, args...))
		}
		last := i == len(parts)-1
		switch {
		case !last && len(part) != partChars:
			return nil, fault("%d characters: want %d", len(part), partChars)
		case len(part) > partChars:
			return nil, fault("%d characters: at most %d", len(part), partChars)
		case part == "":
			return nil, fault("empty")
		case strings.ContainsAny(part, "\r\n"): // the decoder passes over them
			return nil, fault("not base64: it holds a line break")
		case !last && strings.HasSuffix(part, "="):
			return nil, fault("padding, which the last part alone may have")
		}
		var err error
		if content, err = base64.StdEncoding.Strict().AppendDecode(content, []byte(part)); err != nil {
			return nil, fault("not base64: %w", err)
		}
	}
	return content, nil
}

// Sum is the digest of a document that is its bytes, such as the Auth0 configuration: hexadecimal SHA-256.
func Sum(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:])
}
