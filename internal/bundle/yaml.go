package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits on YAML. Reading a mapping takes time that grows with the square of its keys, here and in OPA.
const (
	maxKeys  = 4_000
	maxDepth = 32
)

// plainYAML refuses all of YAML by which a file can say something else to a program than to its reader: a name given
// twice, a second document, anchors and aliases, merge keys, tags, keys that are no text, and characters that end a line
// for a YAML reader and not on a screen. What is left is what people write, and means one thing.
func plainYAML(content []byte) error {
	if err := plainText(content); err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var first, second yaml.Node
	switch err := dec.Decode(&first); {
	case errors.Is(err, io.EOF):
		return errors.New("no YAML document")
	case err != nil:
		return err
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document: only the first would count")
	}
	return plainNode(&first, 0)
}

func plainText(content []byte) error {
	if !utf8.Valid(content) {
		return errors.New("not UTF-8")
	}
	text := strings.ReplaceAll(string(content), "\r\n", "\n")
	if i := strings.IndexAny(text, "\r\u0085\u2028\u2029\ufeff"); i >= 0 {
		return fmt.Errorf("line %d: a character that ends a line or is not seen: %+q", strings.Count(text[:i], "\n")+1, firstRune(text[i:]))
	}
	return nil
}

func firstRune(s string) rune { r, _ := utf8.DecodeRuneInString(s); return r }

func plainNode(n *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("line %d: nested deeper than %d", n.Line, maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return fmt.Errorf("line %d: anchors and aliases are not read: write the value out", n.Line)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("line %d: tags such as %s are not read", n.Line, n.Tag)
	}
	if n.Kind == yaml.MappingNode {
		if len(n.Content)/2 > maxKeys {
			return fmt.Errorf("line %d: %d keys, at most %d: use data.json", n.Line, len(n.Content)/2, maxKeys)
		}
		keys := make(map[string]bool, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
				return fmt.Errorf("line %d: key %q: want text, in quotes where it looks like something else", key.Line, key.Value)
			}
			if keys[key.Value] {
				return fmt.Errorf("line %d: key %q is already defined", key.Line, key.Value)
			}
			keys[key.Value] = true
		}
	}
	for _, child := range n.Content {
		if err := plainNode(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}
