package bundle

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Place says where a value of the bundle's data stands: the file, relative to the root, and the line from 1 of the last
// name of the path that the file spells out. A path that goes on behind a list or a scalar ends there. The file is ""
// where no data file holds the path.
func (b *Bundle) Place(steps ...string) (file string, line int) {
	for _, f := range b.files {
		if !isData(f.path) {
			continue
		}
		below, ok := after(path.Dir(f.path), steps)
		if !ok {
			continue
		}
		var document yaml.Node // JSON is YAML, as far as lines are concerned
		if err := yaml.Unmarshal(f.content, &document); err != nil || len(document.Content) != 1 {
			continue
		}
		if line, ok := lineOf(document.Content[0], below); ok {
			return f.path, line
		}
	}
	return "", 0
}

// after gives the steps that are left below a folder of data.
func after(dir string, steps []string) ([]string, bool) {
	for _, folder := range strings.Split(dir, "/") {
		if len(steps) == 0 || steps[0] != folder {
			return nil, false
		}
		steps = steps[1:]
	}
	return steps, true
}

func lineOf(n *yaml.Node, steps []string) (int, bool) {
	if len(steps) == 0 || n.Kind != yaml.MappingNode {
		return n.Line, true
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != steps[0] {
			continue
		}
		if len(steps) == 1 || n.Content[i+1].Kind != yaml.MappingNode {
			return n.Content[i].Line, true
		}
		return lineOf(n.Content[i+1], steps[1:])
	}
	return 0, false
}
